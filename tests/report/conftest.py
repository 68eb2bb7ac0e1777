from collections.abc import Callable
from pathlib import Path

import pytest
from made_up_sweeps import lr_sweep


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Three learning rates by two seeds, all finished."""
    return lr_sweep(tmp_path / "outputs" / "sweeps" / "fc_digits-0a1b2c3d")


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pictures and page in place of the real ones: one made picture, and a page that names what it was given."""
    import sys
    import types

    from matplotlib.figure import Figure

    def put(stems: tuple[str, ...] = ("by_lr",)) -> None:
        pictures, page = types.ModuleType("dlhw.report.pictures"), types.ModuleType("dlhw.report.page")
        pictures.draw_pictures = lambda report: ((stem, Figure()) for stem in stems)  # type: ignore[attr-defined]
        page.page = lambda report, pngs, files: f"<p>{report.title} {sorted(pngs)} {sorted(files)} ±</p>"  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "dlhw.report.pictures", pictures)
        monkeypatch.setitem(sys.modules, "dlhw.report.page", page)

    put()
    return put
