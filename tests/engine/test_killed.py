"""A run killed at any moment and resumed ends as one that was never killed, to the last bit."""

import json

import numpy as np
import pytest
from killed_runs import EVERYTHING_RANDOM, killed_run
from small_runs import contents, resume, run, same_bits, timeless, weights

MEASURED = ("seconds", "command", "git_commit")  # of results.json: time, and the command that was typed


@pytest.fixture(scope="module")
def overrides(request):
    """With so many threads; one where a test does not say."""
    return (*EVERYTHING_RANDOM, f"threads={getattr(request, 'param', 1)}")


two_threads = pytest.mark.parametrize("overrides", [2], indirect=True, ids=["2 threads"])


@pytest.fixture(scope="module")
def never_killed(overrides, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(folder, *overrides)
    return folder


def figures(folder) -> dict:
    results = json.loads((folder / "results.json").read_text())
    return {key: value for key, value in results.items() if key not in MEASURED}


def assert_same_run(folder, oracle) -> None:
    for kept in ("last.pt", "best.pt"):
        assert same_bits(weights(folder / "checkpoints" / kept), weights(oracle / "checkpoints" / kept)), kept
    assert timeless(folder) == timeless(oracle)
    assert (folder / "steps.csv").read_bytes() == (oracle / "steps.csv").read_bytes()
    assert figures(folder) == figures(oracle)
    with np.load(folder / "arrays.npz") as ours, np.load(oracle / "arrays.npz") as theirs:
        assert all(np.array_equal(ours[key], theirs[key]) for key in theirs.files)
    assert json.loads((folder / "status.json").read_text())["status"] == "finished"
    assert set(contents(folder)) == set(contents(oracle))  # no temporary file is left


def test_the_run_that_is_compared_with_has_something_to_lose(never_killed):
    """Epochs that were best and epochs that were not, more than one learning rate, five epochs of five steps."""
    rows = timeless(never_killed)
    accuracies = [float(row["val/accuracy"]) for row in rows]
    bests = [i for i, accuracy in enumerate(accuracies) if accuracy > max(accuracies[:i], default=-1)]
    assert len(bests) > 1
    assert [row["step"] for row in rows] == ["5", "10", "15", "20", "25"]
    assert len({row["lr"] for row in rows}) > 2


@pytest.mark.parametrize("epoch", [3])
@two_threads
def test_killed_with_two_threads(epoch, overrides, never_killed, tmp_path):
    test_killed_after_an_epochs_checkpoint(epoch, overrides, never_killed, tmp_path)


@pytest.mark.parametrize("epoch", [1, 3, 5])
def test_killed_after_an_epochs_checkpoint(epoch, overrides, never_killed, tmp_path):
    folder = tmp_path / "run"
    killed_run(folder, overrides, "die_after_last", epoch)
    assert json.loads((folder / "status.json").read_text())["status"] == "running"
    assert len(timeless(folder)) == epoch
    resume(folder)
    assert_same_run(folder, never_killed)


@pytest.mark.parametrize(
    ("moment", "epoch"),
    [
        ("die_between_best_and_last", 1),
        ("die_between_best_and_last", 2),
        ("die_in_the_middle_of_last", 1),
        ("die_in_the_middle_of_last", 3),
        ("die_before_the_checkpoint", 1),
        ("die_before_the_checkpoint", 4),
        ("die_in_the_middle_of_steps", 1),
        ("die_in_the_middle_of_steps", 3),
        ("die_at_the_start_of_steps", 0),
        ("die_at_the_start_of_steps", 1),
        ("die_before_results", 5),
    ],
)
def test_killed_in_the_middle_of_writing(moment, epoch, overrides, never_killed, tmp_path):
    folder = tmp_path / "run"
    killed_run(folder, overrides, moment, epoch)
    resume(folder)
    assert_same_run(folder, never_killed)


def test_killed_twice(overrides, never_killed, tmp_path):
    """The second time in a process that was itself resumed."""
    folder = tmp_path / "run"
    killed_run(folder, overrides, "die_after_last", 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dlhw.trainer.Trainer.evaluate", interrupted_at(3))
        with pytest.raises(KeyboardInterrupt):
            resume(folder)
    assert json.loads((folder / "status.json").read_text())["status"] == "interrupted"
    resume(folder)
    assert_same_run(folder, never_killed)


def interrupted_at(epoch):
    from dlhw.trainer import Trainer

    evaluate = Trainer.evaluate

    def evaluate_or_stop(self, *args, **kwargs):
        if self.epoch == epoch:
            raise KeyboardInterrupt
        return evaluate(self, *args, **kwargs)

    return evaluate_or_stop


@pytest.fixture(scope="module")
def never_killed_with_fewer_rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fewer") / "run"
    run(folder, *EVERYTHING_RANDOM, "log_every=2", "loss_below=2.2")
    return folder


@pytest.mark.parametrize(
    ("moment", "epoch"),
    [("die_after_last", 2), ("die_before_the_checkpoint", 4), ("die_in_the_middle_of_steps", 4), ("die_after_last", 5)],
)
def test_killed_with_a_row_every_second_epoch(moment, epoch, never_killed_with_fewer_rows, tmp_path):
    """The epochs since the last row are trained again; the first step below a loss stays what it was."""
    folder = tmp_path / "run"
    killed_run(folder, (*EVERYTHING_RANDOM, "log_every=2", "loss_below=2.2"), moment, epoch)
    resume(folder)
    assert [row["epoch"] for row in timeless(folder)] == ["2", "4", "5"]
    assert_same_run(folder, never_killed_with_fewer_rows)
    assert figures(folder)["loss_below"]["step"] is not None


@pytest.mark.parametrize("epoch", [2, 4])
def test_killed_with_the_best_weights_inside_last(epoch, tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "run"
    overrides = (*EVERYTHING_RANDOM, "checkpoints=last")
    results = run(whole, *overrides).results
    killed_run(folder, overrides, "die_after_last", epoch)
    assert resume(folder).results["test/loss"] == results["test/loss"]
    assert same_bits(weights(folder / "checkpoints" / "last.pt"), weights(whole / "checkpoints" / "last.pt"))
