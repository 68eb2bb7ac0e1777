"""What a whole run makes of its keys: rows that are kept, what is chosen, precision, seeds and threads."""

import hashlib

import pytest
import torch
from small_runs import FC, read_csv, run, same_bits, weights

from dlhw.one_run import Run
from dlhw.trainer import Trainer

RUN = (*FC, "batch_size=50", "optimizer.lr=0.03", "epochs=8")


def column(ended: Run, name: str) -> list[float]:
    return [row[name] for row in ended.rows]


def test_log_every_makes_each_third_row_and_the_last_and_chooses_among_them(tmp_path):
    """The best of all epochs lies between two rows here; of those that have a row, it is not the last."""
    coarse = (*RUN, "dataset.val_size=20", "optimizer.lr=0.1", "scheduler=step", "scheduler.step_size=6")
    coarse += ("scheduler.gamma=30",)
    whole = run(tmp_path / "whole", *coarse)
    some = run(tmp_path / "some", *coarse, "log_every=3")
    assert column(some, "epoch") == [3, 6, 8]
    accuracies = column(some, "val/accuracy")
    assert some.results["best_epoch"] == [3, 6, 8][accuracies.index(max(accuracies))] < 8
    assert whole.results["best_epoch"] not in (3, 6, 8)
    for row in some.rows:
        oracle = whole.rows[row["epoch"] - 1]
        assert {key: row[key] for key in ("train/loss", "val/accuracy", "lr", "step")} == {
            key: oracle[key] for key in ("train/loss", "val/accuracy", "lr", "step")
        }
    assert (tmp_path / "some" / "steps.csv").read_bytes() == (tmp_path / "whole" / "steps.csv").read_bytes()
    same = run(tmp_path / "same", *coarse, f"epochs={some.results['best_epoch']}", "monitor.metric=train/loss")
    assert some.results["test/loss"] == same.results["test/loss"]


def test_log_every_without_a_validation_split(tmp_path):
    assert column(run(tmp_path / "run", *RUN, "log_every=3", "dataset.val_size=0"), "epoch") == [3, 6, 8]


NEVER_BETTER = (*FC, "optimizer=sgd", "optimizer.lr=1e-12", "epochs=9")


@pytest.mark.parametrize("patience", [1, 3])
def test_early_stopping_stops_after_patience_epochs_without_a_better_one(patience, tmp_path, said):
    ended = run(tmp_path / "run", *NEVER_BETTER, f"early_stopping.patience={patience}")
    assert column(ended, "epoch") == list(range(1, patience + 2))
    assert ended.results["best_epoch"] == 1
    assert any("stopping early" in line for line in said)


def test_early_stopping_happens_at_a_row_and_patience_counts_rows(tmp_path):
    ended = run(tmp_path / "run", *NEVER_BETTER, "early_stopping.patience=1", "log_every=3")
    assert column(ended, "epoch") == [3, 6]
    assert (ended.results["epochs"], ended.results["best_epoch"]) == (6, 3)


def test_test_every_epoch_adds_columns_and_is_counted(tmp_path):
    plain = run(tmp_path / "plain", *RUN, "epochs=3")
    ended = run(tmp_path / "run", *RUN, "epochs=3", "test_every_epoch=true")
    added = [name for name in read_csv(tmp_path / "run" / "metrics.csv")[0] if name not in plain.rows[0]]
    assert added == ["test/loss", "test/accuracy"]
    assert ended.results["test_evaluations"] == 4
    assert ended.results["test/accuracy"] == column(ended, "test/accuracy")[ended.results["best_epoch"] - 1]
    assert column(ended, "train/loss") == column(plain, "train/loss")


def test_test_evaluations_are_counted_when_rows_are_left_out(tmp_path, monkeypatch):
    """The test is evaluated with the rows, at epochs 4 and 8, and once at the end."""
    names, evaluate = [], Trainer.evaluate

    def counted(self, split, name, *args, **kwargs):
        names.append(name)
        return evaluate(self, split, name, *args, **kwargs)

    monkeypatch.setattr(Trainer, "evaluate", counted)
    ended = run(tmp_path / "run", *RUN, "test_every_epoch=true", "log_every=4", "dataset.val_size=0")
    assert ended.results["test_evaluations"] == names.count("test") == 3


@pytest.mark.parametrize(
    ("metric", "mode", "choose"),
    [
        ("val/accuracy", "auto", max),
        ("val/loss", "auto", min),
        ("val/loss", "max", max),
        ("train/accuracy", "auto", max),
        ("train/loss", "max", max),
    ],
)
def test_the_monitored_column_picks_the_best_epoch(metric, mode, choose, tmp_path):
    ended = run(tmp_path / "run", *RUN, "epochs=4", f"monitor.metric={metric}", f"monitor.mode={mode}")
    values = column(ended, metric)
    best = values.index(choose(values)) + 1
    assert ended.results["best_epoch"] == best
    assert torch.load(tmp_path / "run" / "checkpoints" / "best.pt", weights_only=True)["epoch"] == best
    assert ended.results["val/loss"] == column(ended, "val/loss")[best - 1]


@pytest.mark.parametrize("loss", ["cross_entropy", "mse", "multi_margin"])
@pytest.mark.parametrize("model", ["fc", "lenet5"])
@pytest.mark.parametrize("precision", ["bf16", "fp64"])
def test_precisions(precision, model, loss, tmp_path):
    """bf16 keeps about three digits, so a run stays near that of fp32; fp64's weights are float64."""
    overrides = (f"model={model}", f"loss={loss}", "epochs=2", "optimizer.lr=0.001", "dataset.train_size=100")
    exact = run(tmp_path / "exact", *overrides, "precision=fp32")
    ended = run(tmp_path / "run", *overrides, f"precision={precision}")
    tolerance = {"bf16": 0.05, "fp64": 1e-4}[precision]
    assert column(ended, "train/loss") == pytest.approx(column(exact, "train/loss"), rel=tolerance)
    assert ended.results["test/loss"] == pytest.approx(exact.results["test/loss"], rel=tolerance)
    dtypes = {tensor.dtype for tensor in weights(tmp_path / "run" / "checkpoints" / "last.pt").values()}
    assert dtypes == {torch.float64 if precision == "fp64" else torch.float32}
    assert column(ended, "train/loss") != column(exact, "train/loss")


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("fp64", 1e-10)])
def test_memory_formats_agree(precision, tolerance, tmp_path):
    overrides = ("model=lenet5", "model.batchnorm=true", "epochs=2", "batch_size=50", f"precision={precision}")
    last, first = (run(tmp_path / c, *overrides, f"channels_last={c}") for c in ("true", "false"))
    for name in ("train/loss", "val/loss"):
        assert column(last, name) == pytest.approx(column(first, name), rel=tolerance)
    assert last.results["test/loss"] == pytest.approx(first.results["test/loss"], rel=tolerance)


def test_limit_batches_of_a_run(tmp_path):
    ended = run(tmp_path / "run", *RUN, "epochs=2", "limit_batches=3")
    assert column(ended, "step") == [3, 6]
    assert ended.results["limit_batches"] == 3


LENET5 = (
    *("model=lenet5", "model.dropout=0.2", "model.batchnorm=true", "epochs=2", "batch_size=50", "optimizer.lr=0.005"),
    *("dataset.augment.crop_padding=2", "dataset.augment.flip=true", "dataset.augment.rotation=10"),
)


def digest(state: dict[str, torch.Tensor]) -> str:
    """A hash of every bit of a state dict."""
    joined = hashlib.sha256()
    for name, tensor in state.items():
        joined.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return joined.hexdigest()


def trained(folder, *overrides: str) -> str:
    run(folder, *overrides)
    return digest(weights(folder / "checkpoints" / "last.pt"))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("net", [RUN, LENET5], ids=["fc", "lenet5"])
def test_same_seed_and_threads_same_bits(net, threads, tmp_path):
    """Whatever the process drew or computed before."""
    overrides = (*net, "epochs=2", f"threads={threads}")
    first = trained(tmp_path / "first", *overrides)
    torch.manual_seed(12345)
    torch.rand(100)
    torch.set_num_threads(2)
    assert trained(tmp_path / "second", *overrides) == first


@pytest.mark.parametrize("net", [RUN, LENET5], ids=["fc", "lenet5"])
def test_another_seed_gives_another_run(net, tmp_path):
    """seed=0 is a seed as any other: not the clock, not the default of something else."""
    digests = [trained(tmp_path / str(seed), *net, "epochs=1", f"seed={seed}") for seed in (0, 1, 2)]
    assert len(set(digests)) == 3
    assert trained(tmp_path / "again", *net, "epochs=1", "seed=0") == digests[0]
    assert trained(tmp_path / "default", *net, "epochs=1") == digests[0]


def test_the_seed_reaches_the_weights_the_order_and_the_split(tmp_path):
    """A net that starts from zeros still goes another way, since its batches do."""
    overrides = (
        *RUN,
        "epochs=1",
        "model.hidden=[]",
        "model.init=zeros",
        "dataset.val_size=0",
        "dataset.train_size=null",
    )
    losses = [
        [row["loss"] for row in read_csv(run(tmp_path / str(seed), *overrides, f"seed={seed}").folder / "steps.csv")]
        for seed in (0, 1)
    ]
    assert float(losses[0][0]) == float(losses[1][0]) == pytest.approx(2.302585, rel=1e-6)  # zeros: ln 10
    assert losses[0][1:] != losses[1][1:]


def test_saving_nothing_changes_nothing(tmp_path):
    kept, none = run(tmp_path / "kept", *RUN), run(tmp_path / "none", *RUN, "checkpoints=none")
    assert column(kept, "train/loss") == column(none, "train/loss")
    assert kept.results["test/loss"] == none.results["test/loss"]
    again = run(tmp_path / "last", *RUN, "checkpoints=last")
    assert same_bits(*(weights(tmp_path / name / "checkpoints" / "last.pt") for name in ("kept", "last")))
    assert column(again, "train/loss") == column(kept, "train/loss")


@pytest.mark.parametrize("wanted", [True, False])
def test_deterministic_algorithms_are_on_while_training_and_not_after(wanted, tmp_path, monkeypatch):
    seen, train_step = [], Trainer.train_step

    def noted(self, *args):
        seen.append(torch.are_deterministic_algorithms_enabled())
        return train_step(self, *args)

    monkeypatch.setattr(Trainer, "train_step", noted)
    run(tmp_path / "run", *FC, "epochs=1", f"deterministic={str(wanted).lower()}")
    assert set(seen) == {wanted}
    assert not torch.are_deterministic_algorithms_enabled()
