"""`-m`: every job is checked before the first; one that fails later is recorded, and the others finish."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from outcomes import TINY, Outcome, only, written

Door = Callable[..., Outcome]


def test_every_combination_has_its_folder(door: Door, a_place_of_its_own: Path) -> None:
    outcome = door("-m", *TINY, "seed=0,1", "optimizer.lr=0.01,0.001", "name=four")
    assert outcome.code == 0, outcome
    assert "4 of 4 runs finished" in outcome.out
    found = {}
    for path in a_place_of_its_own.glob("outputs/sweeps/four*/**/results.json"):
        overrides = (path.parent / ".hydra/overrides.yaml").read_text()
        found[path.parent] = ("seed=1" in overrides, "optimizer.lr=0.01" in overrides)
        assert json.loads((path.parent / "status.json").read_text())["status"] == "finished"
        assert json.loads(path.read_text())["seed"] == int("seed=1" in overrides)
    assert sorted(found.values()) == [(False, False), (False, True), (True, False), (True, True)]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["modle=fc,lenet5"], "unknown key modle; did you mean model?"),
        (["model=fc,fcc"], "model=fcc: no such option"),
        (["seed=0,-1"], "seed=-1: must be at least 0"),
        (["seed=0,1", "+optimizer.lrr=1"], "did you mean optimizer.lr?"),
        (["optimizer.lr=0.1,abc"], "optimizer.lr=abc: must be float"),
        (["optimizer=adam,sgd", "+optimizer.amsgrad=true"], "unknown key optimizer.amsgrad (torch.optim.SGD takes"),
        (["seed=0,1", "model=null"], "an option is chosen by its name"),
        (["seed=0,1", "hydra/launcher=bsic"], "hydra/launcher=bsic: no such option"),
        (["seed=range(3"], "range(3"),
    ],
)
def test_a_mistake_in_any_job_stops_before_the_first(
    overrides: list[str], says: str, door: Door, a_place_of_its_own: Path
) -> None:
    tiny = [word for word in TINY if word not in ("model=fc", "model.hidden=[8]")]
    outcome = door("-m", *tiny, *overrides)
    assert says in outcome.refusal()
    assert outcome.out == ""
    assert written(a_place_of_its_own) == []


def test_several_values_without_m(door: Door, a_place_of_its_own: Path) -> None:
    assert door(*TINY, "seed=1,2").refusal().startswith("seed=1,2: several values; add -m to sweep over them")
    assert written(a_place_of_its_own) == []


def test_a_job_that_fails_later(door: Door, a_place_of_its_own: Path) -> None:
    outcome = door("-m", *TINY, "optimizer=sgd", "optimizer.lr=1e30,0.01", "name=two")
    assert outcome.code == 1
    assert "1 of 2 runs finished" in outcome.out
    by_status = {}
    for path in a_place_of_its_own.glob("outputs/sweeps/two*/**/status.json"):
        status = json.loads(path.read_text())
        by_status[status["status"]] = (path.parent, status)
    assert set(by_status) == {"finished", "failed"}
    folder, status = by_status["failed"]
    assert "lr=1e+30" in status["error"]
    assert "RunFailed" in status["traceback"]
    assert not (folder / "results.json").exists()
    assert (by_status["finished"][0] / "results.json").is_file()


def test_as_a_process(process: Door, a_place_of_its_own: Path) -> None:
    """The exit code and the lines as a shell sees them, and a job's rows as a single run gives them."""
    outcome = process("-m", *TINY, "optimizer=sgd", "optimizer.lr=1e30,0.01", "name=two")
    assert outcome.code == 1
    assert "Traceback" not in outcome.out + outcome.err
    assert process(*TINY, "optimizer=sgd", "optimizer.lr=0.01", "name=one").code == 0
    single = only(a_place_of_its_own.glob("outputs/runs/one/*/steps.csv"))
    jobs = [path.read_text() for path in a_place_of_its_own.glob("outputs/sweeps/two*/**/steps.csv")]
    assert single.read_text() in jobs
