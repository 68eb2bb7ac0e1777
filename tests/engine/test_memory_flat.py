"""A long run holds no more than a short one: tensors, memory, open files."""

import gc
import os
from mmap import mmap
from pathlib import Path

import pytest
from small_runs import FC, run
from torch import Tensor

from dlhw.folder.record import Record

PROC = Path("/proc/self")
pytestmark = pytest.mark.skipif(not (PROC / "statm").exists(), reason="needs Linux: /proc tells memory and files")

SMALL = ("batch_size=50", "epochs=50", "dataset.train_size=100", "dataset.val_size=50", "dataset.test_size=50")
MIB = 2**20
MOST_GROWTH = 2 * MIB  # of 45 epochs: allocators and Python's own tables; the rows take a few hundred bytes each
CASES = {
    "checkpoints": [*FC, "optimizer=adam", "scheduler=cosine"],
    "augmented": ["model=lenet5", "dataset.augment.rotation=10", "dataset.augment.crop_padding=2", "checkpoints=none"],
    "tested_each_epoch": [*FC, "test_every_epoch=true", "clip_grad_norm=1", "checkpoints=last", "optimizer=sgd"],
}


def held() -> dict[str, int]:
    """Live tensors that Python knows of, bytes in memory, open files."""
    gc.collect()
    tensors = sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())
    pages = int((PROC / "statm").read_text().split()[1])
    return {"tensors": tensors, "memory": pages * os.sysconf("SC_PAGE_SIZE"), "files": len([*(PROC / "fd").iterdir()])}


@pytest.fixture
def by_epoch(monkeypatch: pytest.MonkeyPatch) -> dict[int, dict[str, int]]:
    """What is held when the row of epoch 5, and of epoch 50, is recorded."""
    seen: dict[int, dict[str, int]] = {}
    record_row = Record.row

    def row(self: Record, row: dict[str, float]) -> None:
        record_row(self, row)
        if row["epoch"] in (5, 50):
            seen[int(row["epoch"])] = held()

    monkeypatch.setattr(Record, "row", row)
    return seen


@pytest.mark.parametrize("name", CASES)
def test_fifty_epochs_hold_what_five_do(name, by_epoch, tmp_path):
    run(tmp_path / "run", *SMALL, *CASES[name])
    early, late = by_epoch[5], by_epoch[50]
    assert late["tensors"] == early["tensors"]
    assert late["files"] == early["files"]
    assert late["memory"] - early["memory"] < MOST_GROWTH


def test_a_leak_would_be_seen(by_epoch, tmp_path, monkeypatch):
    """Of a tensor, a file and a MiB an epoch: new pages, since what earlier tests have freed is at hand still."""
    kept = []
    wrapped = Record.row

    def leaking(self: Record, row: dict[str, float]) -> None:
        pages = mmap(-1, MIB)
        pages.write(b"x" * MIB)
        kept.append((Tensor(1), (tmp_path / "leak").open("w"), pages))
        wrapped(self, row)

    monkeypatch.setattr(Record, "row", leaking)
    run(tmp_path / "run", *SMALL, *FC, "checkpoints=none")
    for _, file, _ in kept:
        file.close()
    growth = {key: by_epoch[50][key] - by_epoch[5][key] for key in by_epoch[5]}
    assert (growth["tensors"], growth["files"]) == (45, 45)
    assert growth["memory"] > MOST_GROWTH
