"""Whole runs, small enough for a test: two hundred digits, no plots, one CPU thread."""

import csv
from pathlib import Path
from typing import Any

import torch

import dlhw
from dlhw.one_run import Run

TINY = ("dataset.train_size=200", "dataset.image_size=28", "plots=none", "device=cpu", "threads=1")
FC = ("model=fc", "model.hidden=[16]")


def run(folder: Path, *overrides: str) -> Run:
    """A run in `folder`; later overrides win over TINY's."""
    typed = {override.partition("=")[0]: override for override in (*TINY, *overrides)}
    return dlhw.run(*typed.values(), f"hydra.run.dir={folder}")


def resume(folder: Path, *overrides: str) -> Run:
    return dlhw.run(f"resume={folder}", *overrides)


def read_csv(path: Path, without: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """The lines as they stand in the file, less some columns."""
    with path.open(newline="") as file:
        return [{key: cell for key, cell in row.items() if key not in without} for row in csv.DictReader(file)]


def timeless(folder: Path) -> list[dict[str, str]]:
    """metrics.csv without the two columns that measure time."""
    return read_csv(folder / "metrics.csv", without=("seconds", "samples_per_second"))


def weights(path: Path) -> dict[str, torch.Tensor]:
    """The model's tensors in a checkpoint."""
    state: dict[str, Any] = torch.load(path, weights_only=True)
    return state["model"]


def same_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two state dicts are equal to the last bit; a NaN equals itself, 0 does not equal -0."""
    return [*one] == [*other] and all(bits(one[name]) == bits(other[name]) for name in one)


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().numpy().tobytes()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
