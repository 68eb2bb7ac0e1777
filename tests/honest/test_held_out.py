"""The test split: nobody reads it while a run chooses, and each evaluation of it is counted."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from honest_runs import FC, TINY, broken_off, contents, run

import dlhw
from dlhw import prepare as preparing
from dlhw.config.compose import composed
from dlhw.config.shipped import hydra_session
from dlhw.dataset.batches import Splits
from dlhw.dataset.held_out import HeldOut, HeldOutError, hold_out, tensor_bytes
from dlhw.dataset.preprocess import Preprocess
from dlhw.dataset.tensors import Tensors
from dlhw.eval_cli import parse
from dlhw.evaluation import evaluate
from dlhw.folder.checkpoint import Checkpoints
from dlhw.lanes import lane as lanes
from dlhw.monitor import Monitor
from dlhw.prepare import Experiment, prepare
from dlhw.trainer import Trainer

Command = Callable[..., tuple[int, str, str]]


def split(count: int = 5) -> Tensors:
    return Tensors(torch.randn(count, 2), torch.zeros(count))


@pytest.mark.parametrize("name", ["targets", "inputs", "batches", "raw", "blocks", "anything"])
def test_neither_inputs_nor_targets_are_to_be_had(name: str) -> None:
    with pytest.raises(HeldOutError, match=rf"test split was read \({name}\)"):
        getattr(HeldOut(split()), name)


def test_its_length_and_its_size_are_no_secret() -> None:
    assert len(HeldOut(split(7))) == 7
    assert tensor_bytes(HeldOut(split())) == tensor_bytes(split()) == 5 * (2 + 1) * 4


def test_the_door_counts() -> None:
    inner = split()
    splits = Splits(split(), None, inner, Preprocess(), None)
    held_out = hold_out(splits)
    assert splits.test is held_out
    assert held_out.evaluations == 0
    for times in (1, 2):
        with held_out.opened() as opened:
            assert opened is inner
        assert held_out.evaluations == times


def test_a_copy_is_held_out_too() -> None:
    for other in (
        copy.copy(HeldOut(split())),
        copy.deepcopy(HeldOut(split())),
        pickle.loads(pickle.dumps(HeldOut(split()))),
    ):
        assert len(other) == 5
        with pytest.raises(HeldOutError):
            other.batches(2)


class Spy:
    """A test split that says who reads it before its time."""

    may_be_read = False

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __len__(self) -> int:
        return len(self.inner)

    def __getattr__(self, name: str) -> Any:
        assert Spy.may_be_read, f"{name} was read"
        return getattr(self.inner, name)


@pytest.fixture
def spies(monkeypatch: pytest.MonkeyPatch) -> list[Spy]:
    """The test splits of all runs; only `finish`, which ends a run, may read them."""
    spies: list[Spy] = []

    def spying(splits: Splits) -> HeldOut:
        spies.append(Spy(splits.test))
        splits.test = spies[-1]  # type: ignore[assignment]
        return hold_out(splits)

    def finishing(finish: Callable[..., Any]) -> Callable[..., Any]:
        def open_for_it(*args: Any) -> Any:
            Spy.may_be_read = True
            try:
                return finish(*args)
            finally:
                Spy.may_be_read = False

        return open_for_it

    monkeypatch.setattr(preparing, "hold_out", spying)
    monkeypatch.setattr(dlhw.one_run, "draw", lambda folder, which: [])  # type: ignore[attr-defined]  # of the files
    for module in (dlhw.one_run, lanes):  # type: ignore[attr-defined]
        monkeypatch.setattr(module, "finish", finishing(module.finish))
    return spies


@pytest.mark.parametrize(
    "overrides",
    [
        ("plots=all", "model=convnet", "model.channels=[2]", "epochs=1"),
        ("early_stopping.patience=1", "scheduler=plateau", "loss_below=1", "log_every=2"),
        ("dataset.val_size=0", "accumulate_steps=2", "limit_batches=1"),
        ("backend=numpy",),
    ],
    ids=["all plots", "all that watches", "no validation", "numpy"],
)
def test_nothing_reads_it_before_the_end_of_a_run(overrides: tuple[str, ...], spies: list[Spy]) -> None:
    assert run(*overrides).results["test_evaluations"] == 1
    assert len(spies) == 1


def test_nothing_reads_it_before_the_end_of_a_resumed_run(spies: list[Spy], monkeypatch: pytest.MonkeyPatch) -> None:
    broken_off(1, run, monkeypatch)
    dlhw.run("resume=run")
    assert len(spies) == 2
    assert contents(Path("run/results.json"))["test_evaluations"] == 1


@pytest.mark.parametrize("launcher", ["basic", "vectorized"])
def test_nothing_of_a_sweep_reads_it_before_the_end_of_each_run(
    launcher: str, spies: list[Spy], command: Command
) -> None:
    """Plan, pre-flight and rehearsal of lanes prepare runs as well."""
    code, out, err = command("-m", *TINY, f"hydra/launcher={launcher}", "optimizer.lr=0.01,0.001")
    assert code == 0, (out, err)
    counts = [contents(path)["test_evaluations"] for path in Path().glob("outputs/sweeps/*/*/results.json")]
    assert counts == [1, 1]
    assert len(spies) > 2


def test_no_trial_of_a_search_reads_it_before_its_end(
    spies: list[Spy], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("optuna", "hydra_plugins.hydra_optuna_sweeper"):
        pytest.importorskip(module, reason="pip install 'dlhw[tune]'")
    monkeypatch.setattr("dlhw.sweep.optimise.report", lambda folder: None)
    words = ("hydra/sweeper=optuna", "hydra/launcher=basic", "hydra.sweeper.n_trials=1", "epochs=1")
    tried = "optimizer.lr=tag(log,interval(0.001,0.1))"
    code, out, err = command("-m", *FC, "dataset.train_size=60", *words, tried)
    assert code == 0, (out, err)
    assert len(list(Path().glob("outputs/sweeps/*/*/*/results.json"))) == 1
    assert len(spies) > 1


@pytest.fixture
def experiment() -> Experiment:
    with hydra_session():
        return prepare(composed([*TINY]))


def test_a_model_that_looks_is_refused(experiment: Experiment) -> None:
    experiment.model.register_forward_hook(lambda *args: experiment.splits.test.targets.sum())
    with pytest.raises(HeldOutError):
        next(experiment.trainer.fit(1))
    assert experiment.test.evaluations == 0


def test_a_monitor_that_looks_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    seen: list[Splits] = []

    def hold_and_tell(splits: Splits) -> HeldOut:
        seen.append(splits)
        return hold_out(splits)

    def looks(self: Monitor, row: dict[str, float]) -> bool:
        return next(seen[0].test.batches(10)) is None  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(preparing, "hold_out", hold_and_tell)
    monkeypatch.setattr(Monitor, "better", looks)
    code, _, err = command(*TINY, "hydra.run.dir=run")
    assert code == 1
    assert err.count("\n") == 1
    assert "HeldOutError: a bug: the test split was read (batches)" in err
    assert contents(Path("run/status.json"))["status"] == "failed"


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the splits that were evaluated, one after another."""
    names: list[str] = []

    evaluate = Trainer.evaluate

    def counted(self: Trainer, split: Any, name: str, *args: Any, **kwargs: Any) -> dict[str, float]:
        names.append(name)
        return evaluate(self, split, name, *args, **kwargs)

    monkeypatch.setattr(Trainer, "evaluate", counted)
    return names


@pytest.mark.parametrize(("overrides", "count"), [((), 4), (("log_every=2",), 3), (("dataset.val_size=0",), 4)])
def test_the_count_is_of_evaluations(overrides: tuple[str, ...], count: int, evaluated: list[str]) -> None:
    results = run("test_every_epoch=true", *overrides).results
    assert results["test_evaluations"] == evaluated.count("test") == count


@pytest.mark.parametrize("after", [1, 2])
def test_a_resumed_run_counts_what_was_counted_before(
    after: int, evaluated: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_off(after, lambda: run("test_every_epoch=true"), monkeypatch)
    assert evaluated.count("test") == after
    assert dlhw.run("resume=run").results["test_evaluations"] == evaluated.count("test") == 4


def test_a_row_that_is_made_again_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends between its second row and that row's checkpoint is what it would have been."""
    keep, kept = Checkpoints.keep, []

    def stopped(self: Checkpoints, *args: Any) -> None:
        if kept:
            raise KeyboardInterrupt
        kept.append(keep(self, *args))

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "keep", stopped)
        with pytest.raises(KeyboardInterrupt):
            run("test_every_epoch=true")
    assert len(Path("run/metrics.csv").read_text().splitlines()) == 1 + 2
    assert dlhw.run("resume=run").results["test_evaluations"] == 3 + 1


def test_each_end_counts_where_epochs_are_raised(evaluated: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run("test_every_epoch=true", "epochs=1")
    broken_off(1, lambda: dlhw.run("resume=run", "epochs=3"), monkeypatch)
    results = dlhw.run("resume=run", "epochs=4").results
    assert results["test_evaluations"] == evaluated.count("test") == 4 + 2


def test_evaluations_afterwards_say_how_many_there_have_been(evaluated: list[str]) -> None:
    run("test_every_epoch=true", "epochs=2")
    before = Path("run/results.json").read_bytes()
    told = [evaluate(parse(["run=run", f"split={name}"])) for name in ("test", "val", "train", "test")]
    assert [figures.get("test_evaluation") for figures in told] == [4, None, None, 5]
    assert evaluated.count("test") == 5
    assert Path("run/results.json").read_bytes() == before
