"""`dlhw.run` does what the command does, and hands back the rows, the figures, the folder and the plots."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from outcomes import TINY, Outcome, only, written

import dlhw
from dlhw.errors import RunFailed, UserError

Door = Callable[..., Outcome]
TIMES = ("seconds", "samples_per_second")
OWN_NET = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, num_classes: int, width: int = 8):
        super().__init__(nn.Flatten(), nn.Linear(784, width), nn.ReLU(), nn.Linear(width, num_classes))
"""


def rows_of(folder: Path) -> list[dict[str, str]]:
    """The cells of metrics.csv as they are written, but for the times."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [{key: cell for key, cell in row.items() if key not in TIMES} for row in csv.DictReader(file)]


def test_twice_in_one_process(a_place_of_its_own: Path) -> None:
    overrides = [word for word in TINY if word not in ("plots=none", "epochs=1")]
    first = dlhw.run(*overrides, "epochs=2", "plots=basic")
    second = dlhw.run(*overrides, "epochs=2", "plots=basic")
    assert first.folder != second.folder
    assert {run.folder.resolve().parent for run in (first, second)} == {a_place_of_its_own / "outputs/runs/fc_digits"}
    for run in (first, second):
        assert [row["epoch"] for row in run.rows] == [1, 2]
        assert json.loads(json.dumps(run.results)) == json.loads((run.folder / "results.json").read_text())
        assert run.results["epochs"] == 2
        assert 0 <= run.results["test/accuracy"] <= 1
        assert run.plots
        assert {plot.suffix for plot in run.plots} == {".png"}
        assert all(plot.is_file() and plot.parent == run.folder / "plots" for plot in run.plots)
        written_rows = rows_of(run.folder)
        assert [{key: str(row[key]) for key in row if key not in TIMES} for row in run.rows] == written_rows
    assert rows_of(first.folder) == rows_of(second.folder)
    assert rows_of(first.folder)[0] != rows_of(first.folder)[1]


def test_what_it_raises(a_place_of_its_own: Path) -> None:
    with pytest.raises(UserError, match=r"^unknown key epohcs; did you mean epochs\?$"):
        dlhw.run("epohcs=3")
    with pytest.raises(UserError, match=r"val_size=1\.5: "):
        dlhw.run(*TINY, "dataset.val_size=1.5")
    assert written(a_place_of_its_own) == []
    with pytest.raises(RunFailed, match="learning rate too high"):
        dlhw.run(*TINY, "optimizer=sgd", "optimizer.lr=1e30")
    assert dlhw.run(*TINY).results["epochs"] == 1  # what broke off leaves nothing behind that would disturb


def test_options_of_the_users_own(a_place_of_its_own: Path) -> None:
    (a_place_of_its_own / "mine/experiment").mkdir(parents=True)
    (a_place_of_its_own / "mine/experiment/small.yaml").write_text("# @package _global_\nmodel: {hidden: [4]}\n")
    tiny = [word for word in TINY if word != "model.hidden=[8]"]
    run = dlhw.run(*tiny, "experiment=small", config_dir="mine")
    assert run.results["parameters"] == 784 * 4 + 4 + 4 * 10 + 10
    assert run.folder.parent.name == "small"


def test_a_script_and_the_command_give_the_same(process: Door, a_place_of_its_own: Path) -> None:
    """A net of the user's own, from the folder they stand in, through both doors, each in a fresh process."""
    (a_place_of_its_own / "mynets.py").write_text(OWN_NET)
    overrides = ["model._target_=mynets.Net", "trust=[mynets]", "+model.width=6", *TINY[2:], "epochs=2"]
    overrides.remove("epochs=1")
    (a_place_of_its_own / "script.py").write_text(
        "import dlhw\n"
        f"run = dlhw.run(*{overrides}, 'name=script')\n"
        "print(run.folder)\n"
        "assert len(run.rows) == 2 and run.results['parameters'] == 784 * 6 + 6 + 6 * 10 + 10\n"
    )
    by_script = process("script.py", program=Path(sys.executable).name)
    assert by_script.code == 0, by_script
    by_command = process(*overrides, "name=command")
    assert by_command.code == 0, by_command
    script = only(a_place_of_its_own.glob("outputs/runs/script/*"))
    command = only(a_place_of_its_own.glob("outputs/runs/command/*"))
    assert by_script.out.splitlines()[-1].endswith(script.name)
    assert rows_of(script) == rows_of(command)
    assert len(rows_of(script)) == 2
    assert (script / "steps.csv").read_text() == (command / "steps.csv").read_text()
    files = {path.relative_to(script) for path in script.rglob("*")}
    assert files == {path.relative_to(command) for path in command.rglob("*")}


def test_a_folder_that_holds_a_run_is_not_trained_in_again(a_place_of_its_own: Path) -> None:
    first = dlhw.run(*TINY, "hydra.run.dir=here")
    before = {path: path.read_bytes() for path in first.folder.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=r"^hydra\.run\.dir=here: holds a run already; go on with it by resume=here$"):
        dlhw.run(*TINY, "hydra.run.dir=here", "seed=1")
    assert {path: path.read_bytes() for path in first.folder.rglob("*") if path.is_file()} == before
