"""The doors, and a module that leaves a trace wherever it is imported or called."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from doors import a_place_of_its_own, door
from outcomes import TINY

__all__ = ["a_place_of_its_own", "door"]

EVIL = """
from pathlib import Path
TRACE = Path({trace!r})
TRACE.touch()

def leave_a_trace(*args, **kwargs):
    TRACE.touch()

class Net:
    def __init__(self, *args, **kwargs):
        TRACE.touch()
"""


@pytest.fixture
def here(a_place_of_its_own: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the user stands in. An evil module can be imported from it."""
    monkeypatch.syspath_prepend(a_place_of_its_own)
    return a_place_of_its_own


@pytest.fixture
def trace(here: Path, tmp_path: Path) -> Iterator[Path]:
    """What does not exist unless an attack was carried out."""
    path = tmp_path / "executed"
    (here / "evil.py").write_text(EVIL.format(trace=str(path)))
    yield path
    assert not path.exists()
    assert "evil" not in sys.modules


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder, to be copied."""
    import dlhw

    folder = tmp_path_factory.mktemp("finished") / "run"
    dlhw.run(*TINY, f"hydra.run.dir={folder}", "plots=basic")
    return folder
