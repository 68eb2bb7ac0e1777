"""The doors of tests/cli, for what needs an extra."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CLI = Path(__file__).parents[1] / "cli"
if str(CLI) not in sys.path:
    sys.path.insert(0, str(CLI))  # for outcomes.py

spec = importlib.util.spec_from_file_location("doors_of_the_command", CLI / "conftest.py")
from outcomes import Outcome  # noqa: E402

assert spec is not None
assert spec.loader is not None
doors = importlib.util.module_from_spec(spec)
spec.loader.exec_module(doors)

a_place_of_its_own, process, door_once = doors.a_place_of_its_own, doors.process, doors.door


@pytest.fixture
def door(door_once: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """A sweep leaves HYDRA_FULL_ERROR in its process, by which the next one would show a traceback."""

    def call(*words: str) -> Outcome:
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
        return door_once(*words)

    return call
