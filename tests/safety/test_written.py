"""Nothing is written outside outputs/, data_dir, and the caches that the README names."""

import getpass
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from outcomes import TINY, Outcome
from PIL import Image

Door = Callable[..., Outcome]
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
CHANGES = {
    "os.mkdir": 1,
    "os.rename": 2,
    "os.remove": 1,
    "os.rmdir": 1,
    "os.link": 2,
    "os.symlink": 2,
    "os.truncate": 1,
}
written: list[Path] = []
listening: list[bool] = []


def listen(event: str, args: tuple[Any, ...]) -> None:
    """Python's own audit hook, which cannot be taken off again."""
    if not listening:
        return
    if event == "open" and isinstance(args[0], str | bytes) and args[2] & WRITES:
        written.append(Path(os.path.abspath(os.fsdecode(args[0]))))  # noqa: PTH100
    for path in args[: CHANGES.get(event, 0)]:
        if isinstance(path, str | bytes | os.PathLike):
            written.append(Path(os.path.abspath(os.fsdecode(path))))  # noqa: PTH100


@pytest.fixture
def paths(here: Path) -> Iterator[list[Path]]:
    """What is written, by whatever in this process."""
    if listen not in installed:
        sys.addaudithook(listen)
        installed.append(listen)
    written.clear()
    listening.append(True)
    yield written
    listening.clear()


installed: list[Callable[..., None]] = []


def elsewhere(paths: list[Path], here: Path) -> list[Path]:
    """Paths outside outputs/, data/ and the caches: Python's, Matplotlib's and torch.compile's."""
    fonts, settings = Path(matplotlib.get_cachedir()), Path(matplotlib.get_configdir())
    programs = Path(tempfile.gettempdir()) / f"torchinductor_{getpass.getuser()}"
    own = (here / "outputs", here / "data", fonts, settings, programs, Path(os.devnull))
    return [path for path in paths if "__pycache__" not in path.parts and not any(map(path.is_relative_to, own))]


def test_the_hook_hears(paths: list[Path], here: Path) -> None:
    (here / "a").write_text("")
    os.link("a", "b")
    (here / "b").rename(here / "outputs")
    os.close(os.open("c", os.O_RDWR | os.O_CREAT))
    assert {path.name for path in elsewhere(paths, here)} == {"a", "b", "c"}


def test_a_run_a_sweep_an_evaluation_and_a_report(door: Door, paths: list[Path], here: Path) -> None:
    quick = [word for word in TINY if word not in ("plots=none", "epochs=1")]
    assert door(*quick, "epochs=2", "plots=basic", "name=one").code == 0
    (run,) = (here / "outputs/runs/one").iterdir()
    assert door(f"resume={run}", "epochs=3").code == 0
    assert door("-m", *TINY, "seed=0,1", "hydra/launcher=basic", "name=many").code == 0
    assert door(f"run={run}", program="dlhw-eval").code == 0
    from dlhw import report_cli

    report_cli.main(["outputs"])
    assert door(*TINY, "epochs=ten").code == 2
    assert {"best.pt", "results.json", "report.html", "summary.tex"} <= {
        path.name for path in (here / "outputs").rglob("*")
    }
    assert elsewhere(paths, here) == []


def test_an_image_folder(door: Door, paths: list[Path], here: Path) -> None:
    """The decoded images are kept in data_dir, and nothing in the folder that they come from."""
    listening.clear()
    for name in ("cat", "dog"):
        (here / "photos" / name).mkdir(parents=True)
        for index in range(10):
            Image.new("RGB", (8, 8), (25 * index, 0, 0)).save(here / "photos" / name / f"{index}.png")
    listening.append(True)
    words = [word for word in TINY if not word.startswith("dataset.train_size")]
    assert door(*words, "dataset=image_folder", "dataset.root=photos", "dataset.image_size=8").code == 0
    assert [path for path in paths if path.is_relative_to(here / "data/cache")]
    assert elsewhere(paths, here) == []
