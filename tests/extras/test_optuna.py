"""`hydra/sweeper=optuna`: what it optimises, what it refuses before the first trial, and what it leaves."""

import csv
import importlib
import json
import re
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hydra.core.config_store import ConfigStore
from outcomes import TINY, Outcome, only, written

from dlhw.config.shipped import hydra_session

pytest.importorskip("optuna", reason="pip install 'dlhw[tune]'")
pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="pip install 'dlhw[tune]'")
Door = Callable[..., Outcome]

OPTUNA = ("-m", "hydra/sweeper=optuna", "hydra/launcher=basic", *TINY)
LR = "optimizer.lr=tag(log,interval(0.0001,0.1))"


def values(folder: Path, key: str) -> dict[str, float]:
    """A figure of results.json by trial, of those that finished."""
    found = sorted(folder.glob("*/results.json"))
    return {path.parent.name: json.loads(path.read_text())[key] for path in found}


@pytest.mark.parametrize(("metric", "best"), [("val/accuracy", max), ("val/loss", min)])
def test_the_best_trial_is_best_in_the_monitored_metric(
    metric: str, best: Callable[..., float], door: Door, a_place_of_its_own: Path
) -> None:
    outcome = door(*OPTUNA, LR, "hydra.sweeper.n_trials=3", f"monitor.metric={metric}")
    assert outcome.code == 0, outcome
    folder = only(a_place_of_its_own.glob("outputs/sweeps/*/*"))
    told = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    measured = values(folder, metric)
    assert len(measured) == 3
    assert told["best_value"] == best(measured.values())
    trial = next(name for name, value in measured.items() if value == told["best_value"])
    config = yaml.safe_load((folder / trial / ".hydra/config.yaml").read_text())
    assert config["optimizer"]["lr"] == told["best_params"]["optimizer.lr"]
    with (folder / "summary.csv").open() as file:
        assert len(list(csv.reader(file))) == 1 + 3
    assert (folder / "report.html").is_file()


def test_the_same_line_tries_the_same_values(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlhw.sweep.optimise.report", lambda folder: None)

    def tried(*words: str) -> list[str]:
        return re.findall(r"trial \d: (optimizer.*)", door(*OPTUNA, LR, "hydra.sweeper.n_trials=2", *words).out)

    first = tried()
    assert len(set(first)) == 2
    assert tried() == first
    assert tried("seed=1") != first


@pytest.mark.parametrize("values", ["1e30,0.01", "0.01,1e30"])
def test_a_trial_that_fails_does_not_end_the_study(
    values: str, door: Door, a_place_of_its_own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlhw.sweep.optimise.report", lambda folder: None)
    line = (*OPTUNA, "hydra/sweeper/sampler=grid", "optimizer=sgd", f"optimizer.lr={values}")
    outcome = door(*line)
    assert outcome.code == 0, outcome
    assert "1 of 2 trials finished" in outcome.out
    folder = only(a_place_of_its_own.glob("outputs/sweeps/*/*"))
    assert yaml.safe_load((folder / "optimization_results.yaml").read_text())["best_params"] == {"optimizer.lr": 0.01}
    assert "trials failed: epoch 1" in door(*line, "on_error=stop", "hydra.sweeper.n_jobs=1").refusal(1)


def test_where_every_trial_fails(door: Door) -> None:
    outcome = door(*OPTUNA, "optimizer=sgd", "optimizer.lr=1e30,1e31", "hydra.sweeper.n_trials=2")
    assert outcome.code == 1
    assert outcome.err.startswith("dlhw: no trial finished: epoch 1")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([LR, "dataset.val_size=0"], "chooses on a validation split, and there is none; set dataset.val_size (now 0)"),
        ([LR, "monitor.metric=train/loss"], "chooses on a validation split; watch val/loss"),
        ([LR, "monitor.metric=test/accuracy"], "the test split is not to choose on"),
        ([LR, "hydra.sweeper.direction=minimize"], "val/accuracy is to be maximized (monitor.mode is max)"),
        ([LR, "hydra.sweeper.direction=up"], "direction=up: is one of auto, minimize, maximize"),
        ([LR, "seeds=2"], "seeds=2: has no meaning beside hydra/sweeper=optuna"),
        ([LR, "resume=outputs"], "resume=outputs: has no meaning"),
        (["seed=0"], "nothing is searched"),
        (["optimizer.lrr=choice(1,2)"], "did you mean optimizer.lr?"),
        (["optimizer.lr=interval(-1,1)"], "Invalid learning rate: -1.0"),
        (["model=fc,fcc"], "model=fcc: no such option"),
        ([LR, "hydra.sweeper.storage=sqlite:///trials.db"], "pip install 'sqlalchemy<2'"),
        ([LR, "+hydra.sweeper.n_trails=3"], "did you mean hydra.sweeper.n_trials?"),
        ([LR, "loss=cross_entropy,mse", "dataset=digits,xor"], "validation split"),
    ],
)
def test_refused_before_the_first_trial(words: list[str], says: str, door: Door, a_place_of_its_own: Path) -> None:
    tiny = [word for word in OPTUNA if word not in ("model=fc", "model.hidden=[8]")]
    if any("xor" in word for word in words):
        tiny.remove("dataset.train_size=200")
    assert says in door(*tiny, *words).refusal()
    assert written(a_place_of_its_own) == []


def test_a_dry_run_and_a_folder_that_is_taken(door: Door, a_place_of_its_own: Path) -> None:
    assert "nothing is trained" in door(*OPTUNA, LR, "dry_run=true").out
    assert written(a_place_of_its_own) == []
    (a_place_of_its_own / "mine/0").mkdir(parents=True)
    (a_place_of_its_own / "mine/0/status.json").write_text("{}")
    assert "mine: holds runs already" in door(*OPTUNA, LR, "hydra.sweep.dir=mine").refusal()


def test_trials_side_by_side_say_nothing_on_stderr(process: Door, a_place_of_its_own: Path) -> None:
    words = (*TINY, "hydra/sweeper/sampler=grid", "optimizer.lr=0.1,0.01")
    outcome = process("-m", "hydra/sweeper=optuna", *words)
    assert (outcome.code, outcome.err) == (0, ""), outcome
    assert "2 of 2 trials finished" in outcome.out


def test_a_killed_worker_costs_its_trial_alone(a_place_of_its_own: Path) -> None:
    """joblib gives up a batch whose worker is killed; what the other trial left on the disk still counts."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from dlhw.sweep.trials import Trials

    class Launcher:
        def launch(self, job_overrides: list[list[str]], initial_job_idx: int) -> None:
            for index, status in ((initial_job_idx, "finished"), (initial_job_idx + 1, "running")):
                Path(str(index)).mkdir()
                Path(f"{index}/status.json").write_text(json.dumps({"status": status}))
            Path(f"{initial_job_idx}/results.json").write_text('{"val/accuracy": 0.5}')
            raise BrokenProcessPool

    composer = SimpleNamespace(parser=OverridesParser.create())
    trials = Trials(Launcher(), Path(), "val/accuracy", {"keys": ["seed"]}, composer, most_failures=1.0)  # type: ignore[arg-type]
    assert [made.return_value for made in trials.launch([["seed=1"], ["seed=2"]], 4)] == [0.5, None]
    assert json.loads(Path("5/status.json").read_text())["error"] == "a worker was killed (out of memory?)"
    assert [run["values"] for run in json.loads(Path("sweep.json").read_text())["runs"]] == [{"seed": 1}, {"seed": 2}]


def test_dlhws_option_holds_wherever_the_plugin_lies() -> None:
    """In site-packages, beside ours, Hydra loads it after ours."""
    from hydra_plugins.hydra_optuna_sweeper import config as plugins_own

    importlib.reload(plugins_own)
    assert sweeper_of("optuna") == "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
    with hydra_session():
        assert sweeper_of("optuna") == "hydra_plugins.dlhw_optuna.DlhwOptuna"


def sweeper_of(option: str) -> str:
    return str(ConfigStore.instance().load(f"hydra/sweeper/{option}.yaml").node._target_)


def test_a_search_needs_a_sweep(door: Door) -> None:
    assert door("hydra/sweeper=optuna", *TINY).refusal() == "hydra/sweeper=optuna: searches in a sweep; add -m"
