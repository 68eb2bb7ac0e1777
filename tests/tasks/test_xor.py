"""The XOR presets from beginning to end: thousands of iterations, a row every hundred, one fetch a row."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

import dlhw
from dlhw import trainer
from dlhw.one_run import Run
from dlhw.trainer import Trainer

QUICK = ("device=cpu", "threads=1", "plots=none")
REPORTED = 854  # iterations at learning rate 0.5


def run(folder: Path, *overrides: str) -> Run:
    return dlhw.run(*QUICK, *overrides, f"hydra.run.dir={folder}")


def losses(folder: Path) -> list[float]:
    with (folder / "steps.csv").open(newline="") as file:
        steps = list(csv.DictReader(file))
    assert (
        [int(step["step"]) for step in steps] == [int(step["epoch"]) for step in steps] == [*range(1, len(steps) + 1)]
    )
    return [float(step["loss"]) for step in steps]


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> Run:
    return run(tmp_path_factory.mktemp("xor") / "run", "experiment=xor/mlp")


def arrays(ended: Run) -> dict[str, np.ndarray]:
    with np.load(ended.folder / "arrays.npz") as stored:
        return {key: stored[key] for key in stored.files}


def test_xor_is_learnt_in_about_as_many_iterations_as_reported(learned):
    below = learned.results["loss_below"]
    assert below["loss"] == 0.02
    assert REPORTED / 2 < below["step"] < REPORTED * 2
    outputs = arrays(learned)["point_outputs"]
    assert outputs.round().tolist() == [0, 1, 1, 0]
    assert arrays(learned)["points"].tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert learned.results["test/loss"] < 0.02
    assert learned.results["test/mse"] == pytest.approx(((outputs - [0, 1, 1, 0]) ** 2).mean(), rel=1e-5)
    assert learned.results["baselines"] == {"mean_target": {"mse": 0.25, "mae": 0.5}}


def test_the_loss_is_the_sum_over_the_four_points(learned):
    assert learned.results["test/loss"] == pytest.approx(4 * learned.results["test/mse"], rel=1e-6)


def test_the_first_step_below_is_the_one_in_steps_csv(learned):
    found = losses(learned.folder)
    assert len(found) == 4000
    assert learned.results["loss_below"]["step"] == next(i for i, loss in enumerate(found, start=1) if loss < 0.02)


def test_rows_come_every_hundred_iterations(learned):
    assert [row["epoch"] for row in learned.rows] == [*range(100, 4001, 100)]
    assert [row["train/loss"] for row in learned.rows] == losses(learned.folder)[99::100]


@pytest.mark.parametrize("every", [7, 1000])
def test_how_often_a_row_is_made_changes_nothing_but_the_rows(every, learned, tmp_path):
    other = run(tmp_path / "run", "experiment=xor/mlp", f"log_every={every}", "epochs=1000", "checkpoints=none")
    assert other.results["loss_below"] == learned.results["loss_below"]
    assert losses(other.folder) == losses(learned.folder)[:1000]


def test_one_fetch_a_row(tmp_path, monkeypatch):
    fetched, waits, training = [], [], []
    fetch, train_epochs = trainer.fetch, Trainer.train_epochs

    def counted_fetch(losses, *others):
        fetched.append(len(losses))
        return fetch(losses, *others)

    def watched(self, count):
        training.append(count)
        try:
            return train_epochs(self, count)
        finally:
            training.pop()

    def counting(name, original):
        def counted(self, *args, **kwargs):
            if training:
                waits.append(name)
            return original(self, *args, **kwargs)

        return counted

    monkeypatch.setattr(trainer, "fetch", counted_fetch)
    monkeypatch.setattr(Trainer, "train_epochs", watched)
    for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__", "__index__"):
        monkeypatch.setattr(torch.Tensor, name, counting(name, getattr(torch.Tensor, name)))
    ended = run(tmp_path / "run", "experiment=xor/mlp", "epochs=1000", "checkpoints=none")
    assert len(ended.rows) == 10
    assert fetched == [100] * 10 + [1]  # the test
    assert waits == ["tolist"] * 10


def test_the_first_step_below_survives_a_resumption(learned, tmp_path):
    folder = tmp_path / "run"
    short = run(folder, "experiment=xor/mlp", "epochs=1700")
    longer = dlhw.run(f"resume={folder}", "epochs=2000")
    assert short.results["loss_below"] == longer.results["loss_below"] == learned.results["loss_below"]
    assert losses(folder) == losses(learned.folder)[:2000]


def test_a_run_resumed_before_that_step_finds_it_as_well(learned, tmp_path):
    folder = tmp_path / "run"
    assert run(folder, "experiment=xor/mlp", "epochs=300").results["loss_below"]["step"] is None
    assert dlhw.run(f"resume={folder}", "epochs=2000").results["loss_below"] == learned.results["loss_below"]


def test_zeros_never_learn(tmp_path):
    ended = run(tmp_path / "run", "experiment=xor/zeros", "epochs=1000")
    assert ended.results["loss_below"] == {"loss": 0.02, "step": None}
    assert arrays(ended)["point_outputs"] == pytest.approx(np.full(4, 0.5), abs=1e-6)
    assert ended.results["test/loss"] == pytest.approx(1, abs=1e-6)
