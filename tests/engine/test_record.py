"""The run folder: which files and columns, and every file whole or not there."""

import csv
import io
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from small_runs import FC, contents, read_csv, run

from dlhw.errors import RunFailed, UserError
from dlhw.folder import checkpoint, record
from dlhw.folder.record import Record
from dlhw.passes import Steps

RUN = (*FC, "epochs=2", "batch_size=60", "optimizer.lr=0.01")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


def test_files_of_a_run(folder):
    run(folder, *RUN)
    files = ["metrics.csv", "steps.csv", "arrays.npz", "results.json", "status.json", "dlhw.log", ".lock"]
    hydra = [".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml"]
    assert set(contents(folder)) == {*files, *hydra, "checkpoints/best.pt", "checkpoints/last.pt"}


COLUMNS = [
    *("epoch", "step", "lr", "train/loss", "train/accuracy", "val/loss", "val/accuracy"),
    *("seconds", "samples_per_second"),
]


def test_columns_of_metrics(folder):
    ended = run(folder, *RUN)
    rows = read_csv(folder / "metrics.csv")
    assert [*rows[0]] == COLUMNS
    assert [{key: float(cell) for key, cell in row.items()} for row in rows] == ended.rows
    assert [(row["epoch"], row["step"], row["lr"]) for row in rows] == [("1", "4", "0.01"), ("2", "8", "0.01")]
    assert all(float(row["seconds"]) > 0 for row in rows)


def test_columns_without_a_validation_split(folder):
    run(folder, *RUN, "dataset.val_size=0")
    assert [*read_csv(folder / "metrics.csv")[0]] == [column for column in COLUMNS if not column.startswith("val/")]


def test_steps_add_up_to_the_rows(folder):
    """Of 200 images in batches of 60: three full steps and one of 20 images."""
    ended = run(folder, *RUN)
    steps = read_csv(folder / "steps.csv")
    assert [*steps[0]] == ["step", "epoch", "lr", "loss"]
    assert [(step["step"], step["epoch"]) for step in steps] == [(str(i), "1" if i < 5 else "2") for i in range(1, 9)]
    for row in ended.rows:
        losses = [float(step["loss"]) for step in steps if float(step["epoch"]) == row["epoch"]]
        mean = sum(loss * n for loss, n in zip(losses, [60, 60, 60, 20], strict=True)) / 200
        assert row["train/loss"] == pytest.approx(mean, rel=1e-12)


RESULTS = {
    *("name", "seed", "epochs", "best_epoch", "monitor", "test_evaluations", "baselines", "seconds", "parameters"),
    *("flops_per_sample", "threads", "precision", "limit_batches", "versions", "platform", "device", "device_name"),
    *("git_commit", "command", "train/loss", "train/accuracy", "val/loss", "val/accuracy"),
    *("test/loss", "test/accuracy", "test/macro_f1", "test/class_accuracy", "layers", "loss_below"),
}


def test_results(folder):
    ended = run(folder, *RUN, "seed=5", "name=mine")
    results = json.loads((folder / "results.json").read_text())
    assert results == json.loads(json.dumps(ended.results))  # where the layers' shapes are tuples
    assert set(results) >= RESULTS
    assert (results["name"], results["seed"], results["epochs"], results["threads"]) == ("mine", 5, 2, 1)
    assert results["parameters"] == 784 * 16 + 16 + 16 * 10 + 10
    assert results["flops_per_sample"] == 2 * (784 * 16 + 16 * 10)
    assert [(layer["type"], layer["output_shape"]) for layer in results["layers"]] == [
        ("Flatten", [1, 784]),
        ("Linear", [1, 16]),
        ("ReLU", [1, 16]),
        ("Linear", [1, 10]),
    ]
    assert sum(layer["parameters"] for layer in results["layers"]) == results["parameters"]
    assert sum(layer["flops"] for layer in results["layers"]) == results["flops_per_sample"]
    assert results["loss_below"] is None
    assert results["test_evaluations"] == 1
    assert results["monitor"] == "val/accuracy (max)"
    assert results["device"] == "cpu"
    assert set(results["versions"]) >= {"python", "dlhw", "torch", "numpy"}
    best = ended.rows[results["best_epoch"] - 1]
    assert results["val/accuracy"] == best["val/accuracy"] == max(row["val/accuracy"] for row in ended.rows)
    assert results["train/loss"] == ended.rows[-1]["train/loss"]
    assert results["seconds"] == pytest.approx(sum(row["seconds"] for row in ended.rows))


def test_arrays_and_the_figures_made_of_them(folder):
    results = run(folder, *RUN).results
    with np.load(folder / "arrays.npz", allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files}
    kinds = [f"{name}_{part}" for name in ("sample", "mistake") for part in ("images", "targets", "preds", "probs")]
    assert set(arrays) == {"classes", "confusion", "test_preds", "test_targets", *kinds}
    assert arrays["confusion"].sum() == len(arrays["test_targets"]) == 360
    assert results["test/accuracy"] == (arrays["test_preds"] == arrays["test_targets"]).mean()
    assert arrays["sample_images"].shape == (32, 1, 28, 28)
    assert arrays["sample_images"].dtype == np.uint8
    assert (arrays["mistake_preds"] != arrays["mistake_targets"]).all()


def status(folder) -> dict:
    return json.loads((folder / "status.json").read_text())


def test_status_of_a_finished_run(folder):
    run(folder, *RUN)
    assert status(folder)["status"] == "finished"
    assert status(folder)["pid"] == os.getpid()
    assert {"time", "host"} <= set(status(folder))


def test_status_while_it_runs(folder, monkeypatch):
    seen = []
    original = Record.row
    monkeypatch.setattr(Record, "row", lambda self, row: (seen.append(status(folder)["status"]), original(self, row)))
    run(folder, *RUN)
    assert seen == ["running", "running"]


def test_status_of_a_failed_run(folder):
    with pytest.raises(RunFailed):
        run(folder, *RUN, "optimizer=sgd", "optimizer.lr=1e38")
    assert status(folder)["status"] == "failed"
    assert status(folder)["error"].startswith("epoch 1, step ")
    assert "Traceback" in status(folder)["traceback"]
    assert "RunFailed" in status(folder)["traceback"]
    assert "failed" in (folder / "dlhw.log").read_text()


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(128 + signal.SIGTERM)], ids=["Ctrl-C", "SIGTERM"])
def test_status_of_an_interrupted_run(stop, folder, monkeypatch):
    def stopped(*_, **__):
        raise stop

    monkeypatch.setattr("dlhw.trainer.Trainer.evaluate", stopped)
    with pytest.raises(type(stop)):
        run(folder, *RUN)
    assert status(folder)["status"] == "interrupted"


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(128 + signal.SIGTERM)], ids=["Ctrl-C", "SIGTERM"])
def test_a_run_that_is_stopped_when_it_has_just_finished_is_finished(stop, folder, monkeypatch):
    write = Record.status

    def stopped(record, name, **details):
        write(record, name, **details)
        if name == "finished":
            raise stop

    monkeypatch.setattr(Record, "status", stopped)
    with pytest.raises(type(stop)):
        run(folder, *RUN)
    assert status(folder)["status"] == "finished"
    assert (folder / "results.json").is_file()


def test_a_refused_run_leaves_nothing(folder):
    with pytest.raises(UserError):
        run(folder, *RUN, "model.hidden=[0]")
    assert not folder.exists()


def test_the_folder_is_free_again_however_the_run_ended(folder):
    """The lock is let go at once, not when the exception that holds the frames is forgotten."""
    kept = Record(folder)
    for _ in range(2):
        with pytest.raises(RunFailed) as held, kept.running():
            raise RunFailed("stopped")
        assert held.value.args == ("stopped",)
        assert status(folder)["status"] == "failed"
    with kept.running(), pytest.raises(UserError, match="another process is training"), Record(folder).running():
        pass


def test_a_locked_folder_is_held_and_cleared_of_what_a_killed_run_left(folder):
    """Without a status: whoever only looks before going on changes nothing that is told."""
    kept = Record(folder)
    names = (".metrics.csv.1.tmp", "checkpoints/.last.pt.1.tmp", ".hydra/.config.yaml.1.tmp", "plots/.curves.png.1.tmp")
    left = [folder / name for name in names]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    with kept.locked():
        assert not any(path.exists() for path in left)
        with pytest.raises(UserError, match="another process is training"), Record(folder).locked():
            pass
        with pytest.raises(UserError, match="another process is training"), Record(folder).running():
            pass
    assert set(contents(folder)) == {".lock"}
    with kept.running():
        pass
    assert status(folder)["status"] == "finished"


OLD = b"the old content\n"


NO_SPACE = (28, "No space left on device")


class FillingUp(io.FileIO):
    """A file on a disk that is full after half of the first write."""

    def write(self, data):
        super().write(bytes(data)[: len(data) // 2])
        raise OSError(*NO_SPACE)


def no_space(*_):
    raise OSError(*NO_SPACE)


def half_saved(state, path):
    """torch.save opens its file itself; so it does what FillingUp does."""
    with FillingUp(path, "wb") as file:
        file.write(b"PK")


FAULTS = {
    "while writing": (Path, "open", lambda path, *_: FillingUp(path, "wb")),
    "while syncing": (os, "fsync", no_space),
    "while replacing": (Path, "replace", no_space),
}
WRITERS = {
    "status.json": lambda kept: kept.status("finished"),
    "results.json": lambda kept: kept.results({"a": 1}),
    "metrics.csv": lambda kept: record.write_text(kept.folder / "metrics.csv", "epoch\n1\n"),
    "arrays.npz": lambda kept: kept.arrays({"a": np.zeros(3)}),
    "checkpoints/last.pt": lambda kept: checkpoint.save(kept.folder / "checkpoints" / "last.pt", {"epoch": 1}),
    ".hydra/config.yaml": lambda kept: kept.config(OmegaConf.create({"a": 1})),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("existed", [True, False])
@pytest.mark.parametrize("name", WRITERS)
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(name, existed, fault, folder, monkeypatch):
    kept = Record(folder)
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    if existed:
        path.write_bytes(OLD)
    with monkeypatch.context() as patch:
        patch.setattr(*FAULTS[fault])
        if fault == "while writing":
            patch.setattr(torch, "save", half_saved)
        with pytest.raises(OSError, match="No space left"):
            WRITERS[name](kept)
    assert contents(folder) == ({name: OLD} if existed else {})
    WRITERS[name](kept)
    assert path.read_bytes() not in (OLD, b"")


@pytest.mark.parametrize("fails_at", range(1, 12))
def test_a_full_disk_at_any_write_leaves_only_whole_files(fails_at, folder, monkeypatch):
    """The run's j-th write fails, those after it succeed (the status that says so is one of them)."""
    calls = 0

    def syncing(_):
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise OSError(*NO_SPACE)

    monkeypatch.setattr(os, "fsync", syncing)
    try:
        run(folder, *RUN)
    except (OSError, UserError) as error:
        assert "No space left on device" in str(error)  # noqa: PT017
    else:
        assert calls < fails_at
    for path in folder.rglob("*"):
        assert not path.name.endswith(".tmp")
        if path.suffix == ".json":
            assert json.loads(path.read_text())
        elif path.suffix == ".csv":
            assert path.read_text().endswith("\n")
            assert len({len(line) for line in csv.reader(path.read_text().splitlines())}) == 1
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                assert len([arrays[key] for key in arrays.files]) == 12
        elif path.suffix == ".pt":
            assert checkpoint.load(path, torch.device("cpu"))["epoch"] in (1, 2)


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written to|cannot write to") as refused:
        Record(tmp_path / "file" / "run")
    assert "\n" not in str(refused.value)


def test_opening_a_folder_changes_nothing_in_it(folder):
    run(folder, *RUN)
    before = contents(folder)
    Record(folder).rewind()
    assert contents(folder) == before


def test_rewinding_takes_off_what_came_after(folder):
    kept = Record(folder)
    for epoch in (1, 2, 3):
        kept.steps(Steps(2 * epoch - 1, [epoch, epoch], [0.1, 0.1], [float("inf"), 0.25]))
        kept.row({"epoch": epoch, "step": 2 * epoch, "lr": 1e-05, "train/loss": 0.0, "val/loss": float("nan")})
    with (folder / "steps.csv").open("a") as file:
        file.write("7,4,0.1,0.5\n8,4,0.")
    again = Record(folder)
    again.rewind(4)
    assert [(row["epoch"], row["step"], row["lr"], row["train/loss"]) for row in again.rows] == [
        (1, 2, 1e-05, 0.0),
        (2, 4, 1e-05, 0.0),
    ]
    assert (folder / "steps.csv").read_text() == (
        "step,epoch,lr,loss\n1,1,0.1,inf\n2,1,0.1,0.25\n3,2,0.1,inf\n4,2,0.1,0.25\n"
    )
    again.steps(Steps(5, [3, 3], [0.1, 0.1], [float("inf"), 0.25]))
    again.row({"epoch": 3, "step": 6, "lr": 1e-05, "train/loss": 0.0, "val/loss": float("nan")})
    assert (folder / "metrics.csv").read_text() == (
        "epoch,step,lr,train/loss,val/loss\n1,2,1e-05,0.0,nan\n2,4,1e-05,0.0,nan\n3,6,1e-05,0.0,nan\n"
    )
