"""What lies in a run's folder, read into plain arrays; what is absent reads as empty."""

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RunFolder:
    """`metrics` and `steps` map a column's name to its values, NaN where a cell is blank or not a number."""

    name: str
    metrics: dict[str, Floats]
    steps: dict[str, Floats]
    arrays: dict[str, NDArray[Any]]
    results: dict[str, Any]

    @property
    def best_epoch(self) -> int | None:
        """None where nothing chose one (no validation split: the last weights were tested) or results are missing."""
        best = self.results.get("best_epoch")
        return None if best is None else int(best)

    @property
    def weights(self) -> str:
        """Which weights the test figures and the arrays belong to, in words."""
        if not self.results:
            return "unfinished run"
        return "last weights" if self.best_epoch is None else f"weights of epoch {self.best_epoch}"

    @property
    def counts_pixels(self) -> bool:
        """Whether it is pixels, not images, that a confusion matrix counts."""
        return bool({"iou", "sample_masks"} & self.arrays.keys())

    def result(self, key: str) -> float | None:
        """A finite figure of results.json, else None."""
        value = self.results.get(key)
        return float(value) if isinstance(value, int | float) and abs(value) <= sys.float_info.max else None

    def class_names(self, count: int) -> list[str]:
        """As recorded, or the indices of the classes where the names are missing."""
        names = [str(name) for name in self.arrays.get("classes", ())]
        return names if len(names) == count else [str(index) for index in range(count)]


def read_run(folder: Path) -> RunFolder:
    results = json.loads(text) if (text := _text(folder / "results.json")) else {}
    arrays: dict[str, NDArray[Any]] = {}
    if (folder / "arrays.npz").is_file():
        with np.load(folder / "arrays.npz", allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
    return RunFolder(
        name=str(results.get("name") or f"{folder.resolve().parent.name}/{folder.resolve().name}"),
        metrics=_columns(folder / "metrics.csv"),
        steps=_columns(folder / "steps.csv"),
        arrays=arrays,
        results=results,
    )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _columns(path: Path) -> dict[str, Floats]:
    """A line with too few or too many cells, such as a last one cut short, is left out."""
    header, *lines = list(csv.reader(_text(path).splitlines())) or [[]]
    rows = [line for line in lines if len(line) == len(header)]
    if not rows:
        return {}
    return {name: _floats(cells) for name, cells in zip(header, zip(*rows, strict=True), strict=True)}


def _floats(cells: tuple[str, ...]) -> Floats:
    try:
        return np.array([float(cell) for cell in cells])
    except ValueError:
        return np.array([_float(cell) for cell in cells])


def _float(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")
