"""What may stand in a study's definition: known keys with values of their types, metrics, figures, overrides."""

import re
from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from typing import Any

from dlhw.config.check import check_type, shown, unknown_key
from dlhw.errors import UserError, did_you_mean
from dlhw.sweep.overrides import OVERRIDE

METRICS = ("loss", "accuracy", "mse", "mae", "psnr", "ssim", "miou", "dice", "pixel_accuracy", "macro_f1")
FIGURES = (
    *(f"{split}/{metric}" for split in ("train", "val", "test") for metric in METRICS),
    "first_below",
    "gap",
    "seconds",
)
TOLERANCE = re.compile(r"\d+(\.\d+)?%|x\d+(\.\d+)?")


def fields(
    node: Any, path: str, known: Mapping[str, Any], required: Sequence[str] = (), others: Sequence[str] = ()
) -> dict[str, Any]:
    """The node itself, once its keys are known ones with values of their types. others: keys to name beside them."""
    if not isinstance(node, dict):
        raise UserError(f"{path}={line(node)}: has the keys {', '.join(known)}")
    for key, value in node.items():
        if key not in known:
            raise UserError(unknown_key(f"{path}.{line(key)}", [*known, *others]))
        if key in required and value is None:
            raise UserError(f"{path}.{key} is missing")
        check_type(f"{path}.{key}", value, known[key])
    for key in required:
        if key not in node:
            raise UserError(f"{path}.{key} is missing")
    return node


def line(value: Any) -> str:
    """A value as it is written, on one line."""
    return re.sub(r"\s+", " ", shown(value))


def check_one_of(path: str, name: str, known: Collection[str], what: str) -> None:
    if name not in known:
        raise UserError(f"{path}={line(name)}: no such {what} ({', '.join(known)}){did_you_mean(name, known)}")


def check_count(path: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise UserError(f"{path}={value}: must be at least 1 or null")


def check_metric(path: str, metric: Any) -> None:
    """A metric is a figure of a run: one that a task gives on a split, or one of those about the run as a whole."""
    if metric not in FIGURES:
        hint = did_you_mean(line(metric), FIGURES) or ", such as test/accuracy"
        raise UserError(f"{path}: {line(metric)} is no figure of a run{hint}")


def check_figure(path: str, figure: Any) -> None:
    check_type(path, figure, float | None)
    if figure is not None and not isfinite(figure):
        raise UserError(f"{path}={figure}: must be a finite number")


def overrides(given: dict[str, Any], path: str, key: str) -> list[str]:
    for text in given.get(key, []):
        match = OVERRIDE.fullmatch(text)
        if not match or (match["value"] is None and match["sign"] != "~"):
            raise UserError(f"{path}.{key}: {line(text)} is no override, such as optimizer.lr=0.1")
        if match["key"].partition(".")[0] == "trust":
            raise UserError(f"{path}.{key}: {line(text)} stands in a file, and counts only where you type it")
    return list(given.get(key, []))


def figures(given: dict[str, Any], path: str, key: str) -> dict[str, float]:
    """A number for each metric; one that is null is left out."""
    for metric, figure in given.get(key, {}).items():
        check_metric(f"{path}.{key}", metric)
        check_figure(f"{path}.{key}.{metric}", figure)
    return {metric: figure for metric, figure in given.get(key, {}).items() if figure is not None}


def columns(given: dict[str, Any], path: str, key: str) -> dict[str, list[float | None]]:
    """A list of numbers for each metric, None where one is missing."""
    for metric, column in given.get(key, {}).items():
        check_metric(f"{path}.{key}", metric)
        if not isinstance(column, list):
            raise UserError(f"{path}.{key}.{metric}={line(column)}: must be a list of numbers")
        for figure in column:
            check_figure(f"{path}.{key}.{metric}", figure)
    return dict(given.get(key, {}))


def tolerances(given: dict[str, Any], path: str) -> dict[str, float | str]:
    for metric, allowed in given.get("tolerance", {}).items():
        check_metric(f"{path}.tolerance", metric)
        number = isinstance(allowed, int | float) and not isinstance(allowed, bool) and isfinite(allowed)
        fits = allowed >= 0 if number else isinstance(allowed, str) and TOLERANCE.fullmatch(allowed)
        if not fits:
            what = "is a number, a percentage such as 25%, or a factor such as x2"
            raise UserError(f"{path}.tolerance.{metric}={line(allowed)}: {what}")
    return dict(given.get("tolerance", {}))
