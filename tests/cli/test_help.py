"""`--help` names all that conf/ holds, without torch; Hydra's own questions are answered too."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from outcomes import Outcome, written

from dlhw.config.schema import Config
from dlhw.config.shipped import conf_dir

Door = Callable[..., Outcome]
GROUPS = sorted(folder for folder in conf_dir().iterdir() if folder.is_dir())
NO_TORCH = """
import atexit, sys
atexit.register(lambda: print("torch" in sys.modules, "hydra" in sys.modules))
sys.argv = ["dlhw", "--help"]
from dlhw.cli import main
main()
"""


def words(text: str) -> set[str]:
    """All words of a text, options with a folder in front of them as one."""
    return set(text.replace(",", " ").replace("(", " ").replace(")", " ").replace(";", " ").split())


@pytest.mark.parametrize("group", GROUPS, ids=lambda folder: folder.name)
def test_help_names_every_option(group: Path, door: Door) -> None:
    outcome = door("--help")
    assert outcome.code == 0
    line = next(line for line in outcome.out.splitlines() if line.split()[:1] == [group.name])
    listed = words(outcome.out[outcome.out.index(line) :])
    options = {path.relative_to(group).with_suffix("").as_posix() for path in group.rglob("*.yaml")}
    options = {option for option in options if not option.startswith("kind/")}
    assert options
    assert options <= listed


def test_help_names_every_key(door: Door) -> None:
    text = words(door("--help").out)
    assert set(Config.__dataclass_fields__) <= text


def test_help_imports_no_torch(process: Door) -> None:
    outcome = process("-c", NO_TORCH, program=Path(sys.executable).name)
    assert outcome.code == 0, outcome
    assert outcome.out.splitlines()[-1] == "False True"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (["--cfg", "job"], "patience: null"),
        (["--cfg", "job", "--resolve"], "num_classes: 10"),
        (["--cfg", "job", "model=fc", "--package", "model"], "hidden:"),
        (["--cfg", "all"], "outputs/runs/"),
        (["--info", "defaults-tree"], "dataset: digits"),
        (["--info", "config"], "| main "),
        (["-sc", "install=bash"], "complete "),
        (["--hydra-help"], "--config-dir"),
    ],
)
def test_hydras_own_questions(line: list[str], says: str, door: Door, a_place_of_its_own: Path) -> None:
    outcome = door(*line)
    assert outcome.code == 0, outcome
    assert says in outcome.out
    assert outcome.err == ""
    assert written(a_place_of_its_own) == []


def test_a_wrong_word_among_them(door: Door) -> None:
    assert door("--cfg", "job", "epohcs=3").refusal() == "unknown key epohcs; did you mean epochs?"


def test_completion(process: Door) -> None:
    outcome = process("-sc", "query=bash", COMP_LINE="dlhw model=", COMP_POINT="11")
    assert {"model=fc", "model=lenet5"} <= set(outcome.out.split())


def test_help_of_dlhw_eval(door: Door) -> None:
    outcome = door("--help", program="dlhw-eval")
    assert outcome.code == 0
    assert {"run", "split", "images", "checkpoint", "device", "data_dir"} <= words(outcome.out)
