"""`-m`: every job is checked before the first; one that fails later is recorded, and the others finish."""

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from joblib.externals.loky import get_reusable_executor
from outcomes import TINY, Outcome, only, written

from dlhw.sweep import whole
from dlhw.sweep.plan import Composer
from dlhw.sweep.workers import Workers, meanwhile

Door = Callable[..., Outcome]
HERE = "hydra/launcher=basic"  # in this process: starting workers takes seconds


def sweeps(place: Path) -> dict[str, dict[str, Any]]:
    """status.json of each run, by the name of its folder without the hash."""
    found = place.glob("outputs/s*/*/*/status.json")
    return {path.parent.name.rpartition("-")[0]: json.loads(path.read_text()) for path in found}


def bytes_below(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_every_combination_has_its_folder(door: Door, a_place_of_its_own: Path) -> None:
    outcome = door("-m", *TINY, HERE, "seed=0,1", "optimizer.lr=0.01,0.001", "name=four")
    assert outcome.code == 0, outcome
    assert "4 runs, 0 done already, 4 to train" in outcome.out
    assert "4 of 4 runs finished" in outcome.out
    sweep = only(a_place_of_its_own.glob("outputs/sweeps/four-*"))
    listed = json.loads((sweep / "sweep.json").read_text())
    assert listed["keys"] == ["seed", "optimizer.lr"]
    values = [(run["values"]["seed"], run["values"]["optimizer.lr"]) for run in listed["runs"]]
    assert values == [(0, 0.01), (0, 0.001), (1, 0.01), (1, 0.001)]  # the last key runs fastest
    for run, (seed, lr) in zip(listed["runs"], values, strict=True):
        folder = sweep / run["folder"]
        assert folder.name == f"seed={seed},lr={lr}-{run['hash'][:8]}"
        assert json.loads((folder / "status.json").read_text())["status"] == "finished"
        assert json.loads((folder / "results.json").read_text())["seed"] == seed
        assert f"lr: {lr}\n" in (folder / ".hydra" / "config.yaml").read_text()


def test_the_workers_that_were_started_early_train_the_runs(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """joblib starts others, in two seconds, where anything that it is told differs."""
    seen = []

    def executor() -> int:
        return int(get_reusable_executor(reuse=True).executor_id)

    class Seen(Workers):
        def start(self, modules: Sequence[str]) -> None:
            super().start(modules)
            seen.append(executor())

        def end(self, at_once: bool = False) -> None:
            seen.append(executor())
            super().end(at_once)

    monkeypatch.setattr(whole, "meanwhile", lambda work: work())
    monkeypatch.setattr(whole, "Workers", Seen)
    assert door("-m", *TINY, "seed=0,1", "name=early", "hydra.launcher.n_jobs=2").code == 0
    early, late = seen
    assert early == late


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many workers are asked for early, each time that some are; they do not come to be."""
    counts: list[int] = []
    monkeypatch.setattr(Workers, "start", lambda self, modules: counts.append(self.count))
    return counts


def test_a_sweep_that_is_done_starts_no_workers_and_checks_no_parts(
    door: Door, started: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even torch is imported for it, if nobody else has."""
    sweep = ["-m", *TINY, "seed=0,1", "name=done"]
    assert door(*sweep, HERE).code == 0
    monkeypatch.setattr(Composer, "check_parts", lambda self, config: 1 / 0)
    assert "2 of 2 runs finished" in door(*sweep, "hydra.launcher.n_jobs=2").out
    assert started == []


def test_a_mistake_that_needs_no_import_starts_no_workers(door: Door, started: list[int]) -> None:
    many = ["-m", *TINY, "hydra.launcher.n_jobs=2"]
    assert "batch_size=0" in door(*many, "batch_size=100,0").refusal()
    assert "unknown key" in door(*many, "seed=0,1", "+batch_sise=1").refusal()
    assert started == []
    assert "optimizer.lr=abc" in door(*many, "optimizer.lr=0.1,abc").refusal()
    assert started == [2]


def test_a_sweep_that_is_refused_ends_with_its_workers(a_place_of_its_own: Path) -> None:
    """They import torch when the mistake is found; nobody is left to hold the pipe, which is read to its end."""
    command = ["-m", *TINY, "optimizer.lr=0.1,abc", "hydra.launcher.n_jobs=2"]
    done = subprocess.run([sys.executable, "-m", "dlhw", *command], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "optimizer.lr=abc: must be float" in done.stderr


def test_what_a_sweep_does_beside_itself_may_fail(capfd: pytest.CaptureFixture[str]) -> None:
    def failing() -> None:
        threads.append(threading.current_thread())
        raise RuntimeError

    threads: list[threading.Thread] = []
    meanwhile(failing)
    while not threads:
        time.sleep(0.01)
    threads[0].join(10)
    assert capfd.readouterr() == ("", "")


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
        (["seed=0,1", "on_error=stpo"], "on_error=stpo: is one of continue, stop"),
        (["on_error=continue,stop"], "on_error=continue,stop: it is of the sweep as a whole and cannot be swept"),
        (["study=xor,unet"], "study=xor,unet: it is of the sweep as a whole and cannot be swept"),
        (["seeds=3", "seed=0,1"], "seeds=3 beside seed=0,1: both choose the seeds; type one"),
        (["seeds=0"], "seeds=0: must be at least 1"),
        (["study=xro"], "study=xro: no such option"),
        (["study=xor", "optimizer.lr=1,2"], "optimizer.lr=1,2: a study has its own list of runs and cannot be swept"),
        (["study=xor", "study.only=[lerning_rate]"], "study.only=lerning_rate: no such table"),
        (["study.only=[learning_rate]", "seed=0,1"], "study.only=[learning_rate]: no study is chosen; add study=NAME"),
        (["optimizer.lr=interval(0,1)"], "interval(…) is for hydra/sweeper=optuna"),
        (["seed=0,1", "dataset=image_folder", "dataset.root=nowhere"], "dataset.root=nowhere: is no folder"),
    ],
)
def test_a_mistake_in_any_job_stops_before_the_first(
    overrides: list[str], says: str, door: Door, a_place_of_its_own: Path
) -> None:
    tiny = [word for word in TINY if word not in ("model=fc", "model.hidden=[8]")]
    outcome = door("-m", *tiny, *overrides)
    assert says in outcome.refusal()
    assert written(a_place_of_its_own) == []


def test_several_values_without_m(door: Door, a_place_of_its_own: Path) -> None:
    assert door(*TINY, "seed=1,2").refusal().startswith("seed=1,2: several values; add -m to sweep over them")
    assert written(a_place_of_its_own) == []


FAILING = ("-m", *TINY, HERE, "optimizer=sgd", "optimizer.lr=1e30,0.01", "name=two")


def test_a_job_that_fails_later(door: Door, a_place_of_its_own: Path) -> None:
    outcome = door(*FAILING)
    assert outcome.code == 1
    assert "1 of 2 runs finished" in outcome.out
    assert "not finished:\n  lr=1e+30-" in outcome.err
    assert "lr=1e+30): try a tenth of it" in outcome.err
    assert "Traceback" not in outcome.out + outcome.err
    status = sweeps(a_place_of_its_own)
    assert {name: told["status"] for name, told in status.items()} == {"lr=1e+30": "failed", "lr=0.01": "finished"}
    assert "RunFailed" in status["lr=1e+30"]["traceback"]


def test_the_same_line_again_trains_only_what_is_missing(door: Door, a_place_of_its_own: Path) -> None:
    door(*FAILING)
    finished = only(a_place_of_its_own.glob("outputs/sweeps/two-*/lr=0.01-*"))
    before = bytes_below(finished)
    outcome = door(*FAILING)
    assert outcome.code == 1
    assert "2 runs, 1 done already, 1 to train" in outcome.out
    assert bytes_below(finished) == before
    assert len(list(a_place_of_its_own.glob("outputs/sweeps/*"))) == 1


def test_on_error_stop(door: Door, a_place_of_its_own: Path) -> None:
    outcome = door(*FAILING, "on_error=stop")
    assert outcome.code == 1
    assert list(sweeps(a_place_of_its_own)) == ["lr=1e+30"]
    assert "0 of 2 runs finished" in outcome.out
    assert re.search(r"lr=0.01-\w{8}: not run", outcome.err)
    assert door(*FAILING).code == 1  # on_error is no part of what the sweep is
    assert sweeps(a_place_of_its_own)["lr=0.01"]["status"] == "finished"


def test_dry_run_plans_and_writes_nothing(door: Door, a_place_of_its_own: Path) -> None:
    outcome = door("-m", *TINY, "seed=range(5)", "dry_run=true")
    assert outcome.code == 0
    assert "5 runs, 0 done already, 5 to train, about" in outcome.out
    assert written(a_place_of_its_own) == []


def test_seeds_repeat_every_run_with_or_without_m(door: Door, a_place_of_its_own: Path) -> None:
    assert door(*TINY, HERE, "seeds=2", "seed=5", "name=pair").code == 0
    assert sorted(sweeps(a_place_of_its_own)) == ["seed=5", "seed=6"]


def test_equal_configs_are_one_run(door: Door, a_place_of_its_own: Path) -> None:
    outcome = door("-m", *TINY, HERE, "optimizer.lr=0.01,1e-2", "plots=none")
    assert "1 runs (1 more have equal configs)" in outcome.out
    assert len(sweeps(a_place_of_its_own)) == 1


def test_a_changed_code_is_told_and_rerun_trains_again(
    door: Door, a_place_of_its_own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dlhw.folder import fingerprint

    line = ("-m", *TINY, HERE, "seed=0,1", "name=pair")
    door(*line)
    assert "other code or data" not in door(*line).out
    monkeypatch.setattr(fingerprint, "of_dlhw", lambda: "another code")
    before = bytes_below(a_place_of_its_own / "outputs" / "sweeps")
    outcome = door(*line)
    assert "2 done already, 0 to train" in outcome.out
    assert "2 of the finished runs were trained with other code or data than today's: rerun=true" in outcome.out
    kept = {name: content for name, content in before.items() if name.endswith(("metrics.csv", "results.json", ".pt"))}
    assert kept.items() <= bytes_below(a_place_of_its_own / "outputs" / "sweeps").items()
    again = door(*line, "rerun=true")
    assert "0 done already, 2 to train" in again.out
    assert "other code" not in door(*line, "rerun=true").out
    assert len(list(a_place_of_its_own.glob("outputs/sweeps/*/.replaced/*/results.json"))) == 2


def test_a_changed_data_file_is_told(door: Door, a_place_of_its_own: Path) -> None:
    import numpy as np
    from PIL import Image

    for kind in ("cat", "dog"):
        for index in range(20):
            path = a_place_of_its_own / "pictures" / kind / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8), index * 10, np.uint8)).save(path)
    tiny = [word for word in TINY if not word.startswith("dataset")]
    line = ("-m", *tiny, HERE, "dataset=image_folder", "dataset.root=pictures", "dataset.val_size=4", "seed=0,1")
    assert door(*line).code == 0
    assert "other code or data" not in door(*line).out
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(a_place_of_its_own / "pictures" / "cat" / "3.png")
    assert "2 of the finished runs were trained with other code or data" in door(*line).out


def test_a_study_runs_its_list(door: Door, a_place_of_its_own: Path) -> None:
    own = a_place_of_its_own / "my" / "study" / "mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(
        "name: mine\nbase: [model=fc, 'model.hidden=[8]', epochs=1]\ntables:\n"
        "  rate: {by: optimizer.lr, values: [0.01, 0.001], reported: {test/accuracy: [0.5, null]}}\n"
        "  width: {rows: [{label: '8', set: []}, {label: '4', set: ['model.hidden=[4]', 'optimizer.lr=0.01']}]}\n"
    )
    rest = [word for word in TINY if not word.startswith(("model", "epochs"))]
    outcome = door("--config-dir", "my", "study=mine", "study.only=[rate]", HERE, *rest)
    assert outcome.code == 0, outcome
    assert len(sweeps(a_place_of_its_own)) == 2
    outcome = door("--config-dir", "my", "study=mine", HERE, *rest)
    assert "1 more have equal configs" in outcome.out  # a learning rate of 0.001 is the base's own
    assert "3 runs" in outcome.out
    assert "2 done already, 1 to train" in outcome.out
    study = json.loads(only(a_place_of_its_own.glob("outputs/studies/mine-*/sweep.json")).read_text())
    assert [run["rows"] for run in study["runs"]] == [
        [["rate", "0.01"]],
        [["rate", "0.001"], ["width", "8"]],
        [["width", "4"]],
    ]
    assert study["study"]["tables"]["rate"]["by"] == "optimizer.lr"


def test_python_refuses_many_runs() -> None:
    import dlhw
    from dlhw.errors import UserError

    with pytest.raises(UserError, match="use the command"):
        dlhw.run("study=xor")


def test_a_single_run_trains_in_the_sweeps_own_process(process: Door, a_place_of_its_own: Path) -> None:
    outcome = process("-m", *TINY, "name=single")
    assert outcome.code == 0, outcome
    assert "1 of 1 runs finished" in outcome.out


def test_as_a_process(process: Door, a_place_of_its_own: Path) -> None:
    """By the default launcher: exit code and lines as a shell sees them, a job's rows as a single run gives them."""
    outcome = process("-m", *TINY, "optimizer=sgd", "optimizer.lr=1e30,0.01", "name=two")
    assert outcome.code == 1
    assert "Traceback" not in outcome.out + outcome.err
    assert "Warning" not in outcome.out + outcome.err
    assert "1 of 2 runs finished" in outcome.out
    assert process(*TINY, "optimizer=sgd", "optimizer.lr=0.01", "name=one").code == 0
    single = only(a_place_of_its_own.glob("outputs/runs/one/*/steps.csv"))
    jobs = [path.read_text() for path in a_place_of_its_own.glob("outputs/sweeps/two*/**/steps.csv")]
    assert single.read_text() in jobs
