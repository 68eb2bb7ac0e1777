"""The doors of tests/cli, and a module that leaves a trace wherever it is imported or called."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CLI = Path(__file__).parents[1] / "cli"
if str(CLI) not in sys.path:
    sys.path.insert(0, str(CLI))  # for outcomes.py

spec = importlib.util.spec_from_file_location("doors_of_the_command_again", CLI / "conftest.py")
from outcomes import TINY, Outcome  # noqa: E402

assert spec is not None
assert spec.loader is not None
doors = importlib.util.module_from_spec(spec)
spec.loader.exec_module(doors)

a_place_of_its_own, door_once = doors.a_place_of_its_own, doors.door

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
def door(door_once: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """A sweep leaves HYDRA_FULL_ERROR in its process, by which the next one would show a traceback."""

    def call(*words: str, program: str = "dlhw") -> Outcome:
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
        return door_once(*words, program=program)

    return call


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
