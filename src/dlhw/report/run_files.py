"""One run's folder, read into a Run. A file that is damaged or half written reads as far as it can be read."""

import csv
import json
import math
import os
import re
import socket
import sys
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import yaml

from dlhw.report.contents import Floats, Run, Status

try:
    from yaml import CSafeLoader as Loader  # ten times as fast; not in every build of PyYAML
except ImportError:
    from yaml import SafeLoader as Loader  # type: ignore[assignment]

UNREADABLE = (OSError, ValueError, yaml.YAMLError, RecursionError)
TIME = re.compile(r"\d{4}-\d\d-\d\d_")  # how the folder of a single run begins
HASH = re.compile(r"-[0-9a-f]{8}$")  # how the folder of a sweep's run ends


def read_run(folder: Path, planned: dict[str, Any] | None = None) -> Run:
    """planned: the run's entry in sweep.json, which says what a run that has not begun will be."""
    planned = planned or {}
    results = mapping(read_json(folder / "results.json"))
    rows = columns(folder / "metrics.csv")
    status, error, traceback = read_status(folder, bool(results), bool(rows))
    overrides = planned.get("overrides") or read_yaml(folder / ".hydra" / "overrides.yaml")
    return Run(
        folder=folder,
        label=short_label(folder),
        status=status,
        overrides=[str(override) for override in overrides] if isinstance(overrides, list) else [],
        config=flat(mapping(read_yaml(folder / ".hydra" / "config.yaml"))) or dict(planned.get("values") or {}),
        figures=figures(results, rows),
        results=results,
        rows=rows,
        error=error,
        traceback=traceback,
    )


def short_label(folder: Path) -> str:
    """What the folder's name says beside time and hash: `lr=0.1,seed=0`, or the name of a single run."""
    return folder.parent.name if TIME.match(folder.name) else HASH.sub("", folder.name)


def read_status(folder: Path, has_results: bool, has_rows: bool) -> tuple[Status, str, str]:
    """Status, error and traceback. Where status.json is missing or damaged, by what else the run left."""
    told = mapping(read_json(folder / "status.json"))
    status = told.get("status")
    if status == "running" and is_dead(told):
        return "interrupted", "killed: its process is no more", ""
    if status == "finished" and not has_results:
        return "finished", "results.json is missing or damaged", ""
    if status in get_args(Status):
        return cast(Status, status), str(told.get("error") or ""), str(told.get("traceback") or "")
    if not (has_results or has_rows):
        return "queued", "", ""
    return ("finished" if has_results else "interrupted"), "status.json is missing or damaged", ""


def is_dead(told: dict[str, Any]) -> bool:
    """Whether the process that status.json names ran on this machine and is gone, as after a kill."""
    pid = told.get("pid")
    if os.name != "posix" or told.get("host") != socket.gethostname() or not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def figures(results: dict[str, Any], rows: dict[str, Floats]) -> dict[str, float]:
    """The finite numbers of results.json, and what follows from them."""
    found = {key: float(value) for key, value in results.items() if is_finite(value)}
    asked = results.get("loss_below")
    if isinstance(asked, dict) and is_finite(asked.get("step")):
        found["first_below"] = float(asked["step"])
    if {"train/accuracy", "test/accuracy"} <= found.keys():
        found["gap"] = found["train/accuracy"] - found["test/accuracy"]
    speed = rows.get("samples_per_second", np.empty(0))
    if results and np.isfinite(speed).any():
        found["samples_per_second"] = float(np.median(speed[np.isfinite(speed)]))
    return found


def is_finite(value: Any) -> bool:
    """Nor too large to be a float, which a whole number of JSON can be."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def flat(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping by dotted keys; lists stay values."""
    found: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def mapping(content: Any) -> dict[str, Any]:
    return content if isinstance(content, dict) else {}


def read_json(path: Path) -> Any:
    """None where there is no such file, or it is damaged."""
    try:
        return json.loads(path.read_bytes())
    except UNREADABLE:
        return None


def read_yaml(path: Path) -> Any:
    """None where there is no such file, or it is damaged."""
    try:
        return yaml.load(path.read_bytes(), Loader)
    except UNREADABLE:
        return None


def columns(path: Path) -> dict[str, Floats]:
    """A CSV file's columns, NaN where a cell is no number. A line cut short is left out; {} where nothing is left."""
    try:
        header, *lines = list(csv.reader(path.read_text(encoding="utf-8", errors="replace").splitlines())) or [[]]
    except (OSError, csv.Error):
        return {}
    kept = [line for line in lines if len(line) == len(header)]
    if not kept:
        return {}
    cells = zip(*kept, strict=True)
    return {name: np.array([number(cell) for cell in column]) for name, column in zip(header, cells, strict=True)}


def number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
