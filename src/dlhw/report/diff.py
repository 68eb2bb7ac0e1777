"""Two runs side by side: what was different, and what came of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlhw.errors import UserError
from dlhw.report.contents import Run
from dlhw.report.finding import is_run, nothing_there
from dlhw.report.reading import environment
from dlhw.report.run_files import columns, read_run
from dlhw.report.settings import shown
from dlhw.report.tables import NONE, TIMINGS, Table, aligned, exact

Lines = Iterator[str]


def diff(a: Path, b: Path) -> str:
    """Config keys, code, machine, figures, losses and weights in which two runs differ. Raises UserError."""
    for path in (a, b):
        if not is_run(path):
            raise UserError(
                nothing_there(path)
                if not path.is_dir()
                else f"{path}: is no run's folder; a run's has .hydra/config.yaml"
            )
    runs = read_run(a.resolve()), read_run(b.resolve())
    parts = {
        "config": of_config(*runs),
        "code": of_code(*runs),
        "made with": of_environment(*runs),
        "figures": of_figures(*runs),
        "losses": of_losses(a / "steps.csv", b / "steps.csv"),
        "weights": of_weights(a / "checkpoints" / "last.pt", b / "checkpoints" / "last.pt"),
    }
    told = [f"a  {a} ({runs[0].status})\nb  {b} ({runs[1].status})"]
    for title, part in parts.items():
        lines = list(part)
        told += [f"{title}\n" + "\n".join(f"  {line}" for line in "\n".join(lines).splitlines())] if lines else []
    return "\n\n".join(told) + "\n"


def side_by_side(header: Sequence[str], lines: list[list[str]], words: int = 4) -> Lines:
    yield aligned(Table("", list(header), lines, words), most=len(lines))


def of_config(a: Run, b: Run) -> Lines:
    absent = "(none)"
    keys = dict.fromkeys([*a.config, *b.config])
    lines = [[key, *(shown(run.config[key]) if key in run.config else absent for run in (a, b))] for key in keys]
    changed = [line for line in lines if line[1] != line[2]]
    yield from side_by_side(["key", "a", "b"], changed) if changed else ["the same"]


def of_code(a: Run, b: Run) -> Lines:
    """git_commit names the checkout, `code` the digest of the source files as they were."""
    for key in ("git_commit", "code"):
        values = [run.results.get(key) for run in (a, b)]
        if any(values):
            same = values[0] == values[1]
            yield f"{key} {values[0]}" if same else f"{key} differs: {values[0]} against {values[1]}"


def of_environment(a: Run, b: Run) -> Lines:
    first, second = (environment([run]) for run in (a, b))
    keys = [
        key for key in {**first, **second} if key not in ("git_commit", "code") and first.get(key) != second.get(key)
    ]
    lines = [[key, first.get(key, "?"), second.get(key, "?")] for key in keys]
    yield from side_by_side(["", "a", "b"], lines) if lines else ["the same"]


def of_figures(a: Run, b: Run) -> Lines:
    metrics = dict.fromkeys(m for run in (a, b) for m in run.figures if "/" in m or m in SHOWN)
    lines = [[metric, exact(a, metric) or NONE, exact(b, metric) or NONE, away(a, b, metric)] for metric in metrics]
    if lines:
        yield from side_by_side(["", "a", "b", "b minus a"], lines, words=1)


SHOWN = ("gap", "first_below", "best_epoch", "epochs", "parameters", *TIMINGS)


def away(a: Run, b: Run, metric: str) -> str:
    if metric not in a.figures or metric not in b.figures:
        return NONE
    difference = b.figures[metric] - a.figures[metric]
    return f"{difference:+.4g}" if difference else "0"


def of_losses(a: Path, b: Path) -> Lines:
    """Of the steps that both runs took: the first that differs and by how much they come to differ."""
    first, second = columns(a), columns(b)
    if not all({"step", "loss"} <= read.keys() for read in (first, second)):
        return
    steps, at_a, at_b = np.intersect1d(first["step"], second["step"], return_indices=True)
    if not len(first["step"]) == len(second["step"]) == len(steps):
        yield f"{len(first['step'])} steps against {len(second['step'])}: the {len(steps)} that both took are compared"
    x, y = first["loss"][at_a], second["loss"][at_b]
    different = np.flatnonzero((x != y) & ~(np.isnan(x) & np.isnan(y)))
    if not len(different):
        yield f"the same bits at all {len(steps)} steps"
        return
    at = different[0]
    yield f"step {steps[at]:.0f} is the first to differ: {x[at]:.9g} against {y[at]:.9g}"
    finite = different[np.isfinite(x[different]) & np.isfinite(y[different])]
    if len(finite):
        most = finite[np.argmax(np.abs(x[finite] - y[finite]))]
        yield f"largest difference {abs(x[most] - y[most]):.4g}, at step {steps[most]:.0f}"


def of_weights(a: Path, b: Path) -> Lines:
    """Of the last checkpoints: the largest absolute difference, and the names and shapes that only one has."""
    if not (a.is_file() and b.is_file()):
        return
    first, second = weights(a), weights(b)
    for name, own, other in (("a", first, second), ("b", second, first)):
        if only := [key for key in own if key not in other]:
            yield f"only in {name}: {', '.join(only)}"
    shared = [key for key in first if key in second]
    shapes = [key for key in shared if first[key].shape != second[key].shape]
    yield from (f"{key}: {tuple(first[key].shape)} against {tuple(second[key].shape)}" for key in shapes)
    gaps = {key: largest_gap(first[key], second[key]) for key in shared if key not in shapes}
    if gaps:
        most = max(gaps, key=gaps.__getitem__)
        yield f"largest difference {gaps[most]:.4g}, in {most}" if gaps[most] else "the same in all that both have"


def weights(path: Path) -> dict[str, Any]:
    import torch

    try:
        loaded: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")["model"]
    except Exception as error:  # torch and zipfile raise a dozen kinds where a file is damaged
        raise UserError(f"{path} is damaged or truncated, or no checkpoint of dlhw's") from error
    return loaded


def largest_gap(a: Any, b: Any) -> float:
    """NaN in both is no difference, NaN in one an infinite one."""
    if a.numel() == 0:
        return 0.0
    gaps = (a.double() - b.double()).abs()
    gaps[(a == b) | (a.isnan() & b.isnan())] = 0.0
    return float(gaps.nan_to_num(nan=float("inf")).max())
