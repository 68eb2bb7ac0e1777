"""`hydra/launcher=vectorized`, from the command line on."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from doors import a_place_of_its_own, door
from outcomes import TINY, Outcome, only, written
from planned_runs import column

__all__ = ["a_place_of_its_own", "door"]

Door = Callable[..., Outcome]
LANES = ("-m", *TINY, "hydra/launcher=vectorized")


def results(place: Path) -> dict[str, dict]:
    found = place.glob("outputs/s*/*/*/results.json")
    return {path.parent.name.rpartition("-")[0]: json.loads(path.read_text()) for path in found}


def test_a_sweep_in_lanes(door: Door, a_place_of_its_own: Path) -> None:
    """The same line again trains only what is missing; a failed lane is the only one that is told."""
    line = (*LANES, "optimizer=sgd", "optimizer.lr=0.1,0.01,1e30", "seed=0,1", "name=six")
    outcome = door(*line)
    assert outcome.code == 1, outcome
    assert "6 runs, 0 done already, 6 to train, about" in outcome.out
    assert "if one after another" in outcome.out
    assert "1 group(s) of lanes (6)" in outcome.out
    assert "4 of 6 runs finished" in outcome.out
    assert outcome.err.count("lr=1e+30") == 4  # two names, two explanations
    assert "Traceback" not in outcome.out + outcome.err
    sweep = only(a_place_of_its_own.glob("outputs/sweeps/six-*"))
    assert (sweep / "report.html").is_file()
    assert {found["lanes"] for found in results(a_place_of_its_own).values()} == {6}
    before = {path: path.read_bytes() for path in sweep.glob("*lr=0.1*/*") if path.is_file()}
    again = door(*line)
    assert "6 runs, 4 done already, 2 to train" in again.out
    assert "1 group(s) of lanes (2)" in again.out
    assert {path: path.read_bytes() for path in before} == before


def test_a_sweep_that_is_killed_goes_on_by_the_same_line(door: Door, a_place_of_its_own: Path) -> None:
    line = (*LANES, "epochs=10", "seed=0,1,2", "name=killed")
    process = subprocess.Popen([Path(sys.executable).parent / "dlhw", *line], stdout=subprocess.DEVNULL)
    while process.poll() is None and not [*a_place_of_its_own.glob("outputs/sweeps/*/*/checkpoints/last.pt")]:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert "3 runs, 0 done already, 3 to train" in (outcome := door(*line)).out
    assert outcome.code == 0, outcome
    for folder in a_place_of_its_own.glob("outputs/sweeps/*/seed=*"):
        assert len(re.findall(r"one of \d lanes", (folder / "dlhw.log").read_text())) == 2  # once in each sitting
        assert column(folder, "epoch", "metrics.csv") == list(range(1, 11))
        assert column(folder, "step") == list(range(1, 21))


def test_what_fits_no_group_trains_as_by_joblib(
    door: Door, a_place_of_its_own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlhw.sweep.whole.cores", lambda: 1)  # so that it starts no workers, which takes seconds
    outcome = door(*LANES, "batch_size=100,50", "hydra.launcher.max_lanes=4", "name=two")
    assert outcome.code == 0, outcome
    assert "no group of lanes, 2 run(s) alone: no other run is like it" in outcome.out
    assert {found["lanes"] for found in results(a_place_of_its_own).values()} == {1}


def test_on_error_stop_begins_no_further_group(door: Door, a_place_of_its_own: Path) -> None:
    line = (*LANES, "optimizer=sgd", "optimizer.lr=1e30", "batch_size=100,50", "seed=0,1", "on_error=stop")
    outcome = door(*line)
    assert outcome.code == 1
    assert "2 group(s) of lanes (2, 2)" in outcome.out
    assert outcome.err.count("not run") == 2
    assert len(list(a_place_of_its_own.glob("outputs/sweeps/*/*/status.json"))) == 2


def test_a_study_in_lanes(door: Door, a_place_of_its_own: Path) -> None:
    own = a_place_of_its_own / "my" / "study" / "mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(
        "name: mine\nbase: [model=fc, 'model.hidden=[8]', epochs=1]\ntables:\n"
        "  rate: {by: optimizer.lr, values: [0.01, 0.001], reported: {test/accuracy: [0.5, null]}}\n"
    )
    rest = [word for word in TINY if not word.startswith(("model", "epochs"))]
    outcome = door("--config-dir", "my", "study=mine", "hydra/launcher=vectorized", *rest)
    assert outcome.code == 0, outcome
    assert "1 group(s) of lanes (2)" in outcome.out
    assert "2 of 2 runs finished" in outcome.out
    assert all(column(path.parent, "loss") for path in a_place_of_its_own.glob("outputs/studies/*/*/results.json"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("hydra.launcher.max_lanes=0",), "hydra.launcher.max_lanes=0: must be at least 1, or null"),
        (("hydra.launcher.max_lanes=many",), "max_lanes"),
        (("hydra.launcher.max_lane=3",), "max_lane"),
    ],
)
def test_a_mistake_stops_before_the_first(
    words: tuple[str, ...], says: str, door: Door, a_place_of_its_own: Path
) -> None:
    assert says in door(*LANES, "seed=0,1", *words).refusal()
    assert written(a_place_of_its_own) == []


def test_optunas_trials_are_not_planned(door: Door, a_place_of_its_own: Path) -> None:
    pytest.importorskip("optuna", reason="pip install 'dlhw[tune]'")
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="pip install 'dlhw[tune]'")
    words = ("hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "optimizer.lr=tag(log,interval(1e-4,1e-1))")
    assert "not the trials of optuna" in door(*LANES, *words).refusal()
    assert written(a_place_of_its_own) == []
