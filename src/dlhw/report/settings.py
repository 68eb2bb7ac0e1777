"""Runs grouped into settings, and the names of what they differ in."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from dlhw.report.contents import Run, Setting
from dlhw.report.finding import Sweep
from dlhw.report.stats import by_seed, estimate

# Keys that say where and how a run is made, and nothing of what comes out.
NO_PART_OF_A_RESULT = (
    "name", "plots", "data_dir", "threads", "device", "checkpoints", "resume", "rerun", "study", "seeds", "on_error",
    "dry_run", "dataset.num_workers", "dataset.resident", "dataset.download",
)  # fmt: skip
TARGET = "._target_"

ESSENCES = ("accuracy", "miou", "psnr", "mse")


def sweep_settings(sweep: Sweep) -> list[Setting]:
    """Runs whose overrides are the same but for the seed, in the order of sweep.json.

    A run of a study has the values of its own table alone; one with none is named after its row.
    """
    keys = without_seed(sweep.told.get("keys") or [])
    groups: dict[str, tuple[dict[str, Any], list[Run]]] = {}
    for entry, run in zip(sweep.entries, sweep.runs, strict=True):
        told = entry.get("values") or {}
        values = {key: told[key] for key in keys if key in told}
        rows = entry.get("rows") or []
        if not values and rows:
            values = {"row": "/".join(map(str, rows[0]))}
        groups.setdefault(frozen(overridden(run.overrides)), (values, []))[1].append(run)
    return [setting(values, runs) for values, runs in groups.values()]


def overridden(overrides: Iterable[str]) -> dict[str, str]:
    """Key to value, the last of a key counting, the seed left out."""
    pairs = (override.lstrip("+").partition("=") for override in overrides)
    return {key: value for key, _, value in pairs if key != "seed"}


def setting(values: dict[str, Any], runs: list[Run]) -> Setting:
    metrics = dict.fromkeys(metric for run in runs for metric in run.figures)
    found = {metric: list(by_seed(runs, metric).values()) for metric in metrics}
    return Setting(values, runs, {metric: estimate(numbers) for metric, numbers in found.items() if numbers})


def run_values(runs: Sequence[Run]) -> tuple[list[str], list[dict[str, Any]]]:
    """The config keys in which runs differ, and each run's values; for runs that no one sweep made."""
    keys = differing(runs)
    names = {key: option_names(runs, key) for key in keys}
    return keys, [{key: value_of(run, key, names[key]) for key in keys} for run in runs]


def run_settings(runs: Sequence[Run], values: Sequence[dict[str, Any]]) -> list[Setting]:
    groups: dict[str, tuple[dict[str, Any], list[Run]]] = {}
    for run, own in zip(runs, values, strict=True):
        groups.setdefault(frozen(own), (own, []))[1].append(run)
    return [setting(own, members) for own, members in groups.values()]


def differing(runs: Sequence[Run]) -> list[str]:
    """Keys whose values differ. Where a part's class differs, the part is one key, and of its own keys those alone
    remain that every run has and that somebody typed, or that differ among runs of one class.
    """
    known = [run for run in runs if run.config]
    every = dict.fromkeys(key for run in known for key in run.config)
    keys = [key for key in every if key not in (*NO_PART_OF_A_RESULT, "seed") and differs(known, key)]
    parts = [key.removesuffix(TARGET) for key in keys if key.endswith(TARGET)]
    parts += [key for key in keys if any(other.startswith(f"{key}.") for other in every)]  # model=fc of a queued run
    typed = {key for run in known for key in overridden(run.overrides)}
    kept = [key.removesuffix(TARGET) for key in keys if tells_more(key, parts, known, typed)]
    return list(dict.fromkeys(kept))


def differs(runs: Sequence[Run], key: str) -> bool:
    return len({frozen(run.config.get(key)) for run in runs}) > 1


def tells_more(key: str, parts: Sequence[str], runs: Sequence[Run], typed: set[str]) -> bool:
    """Whether a key says something that the classes of the parts above it do not say already."""
    above = [part for part in parts if key.startswith(f"{part}.") and key != part + TARGET]
    if not above:
        return True
    if not all(key in run.config for run in runs):
        return False
    classes: dict[Any, set[str]] = {}
    for run in runs:
        classes.setdefault(run.config.get(above[0] + TARGET), set()).add(frozen(run.config[key]))
    return key in typed or any(len(values) > 1 for values in classes.values())


def option_names(runs: Sequence[Run], part: str) -> dict[str, str]:
    """What a part's classes are called: the one option that was typed for a class, else the class's own name."""
    typed: dict[str, set[str]] = {}
    for run in runs:
        if target := run.config.get(part + TARGET):
            option = overridden(run.overrides).get(part)
            typed.setdefault(str(target), set()).update([option] if option else [])
    return {target: min(o) if len(o) == 1 else target.rpartition(".")[2] for target, o in typed.items()}


def value_of(run: Run, key: str, names: dict[str, str]) -> Any:
    target = run.config.get(key + TARGET)
    if target is None:
        return run.config.get(key)
    return overridden(run.overrides).get(key) or names[str(target)]


def without_seed(keys: Iterable[Any]) -> list[str]:
    return [str(key) for key in keys if key != "seed"]


def frozen(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def shown(value: Any) -> str:
    """As YAML has it, on one line."""
    return " ".join(value.split()) if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def monitors(runs: Iterable[Run]) -> list[tuple[str, str]]:
    """Metric and mode that finished runs chose their epoch by, the most common first."""
    told = (str(run.results.get("monitor") or "") for run in runs if run.status == "finished")
    matched = (re.fullmatch(r"(\S+) \((min|max)\)", text) for text in told)
    return [pair for pair, _ in Counter((m[1], m[2]) for m in matched if m).most_common()]


def essence(runs: Sequence[Run]) -> str:
    """The test figure that most says how good a run is."""
    watched = [metric.rpartition("/")[2] for metric, _ in monitors(runs)]
    names = [name for name in watched if name != "loss"] + [*ESSENCES, "loss"]
    return next((f"test/{name}" for name in names if has_figure(runs, f"test/{name}")), "test/accuracy")


def has_figure(runs: Iterable[Run], metric: str) -> bool:
    return any(metric in run.figures for run in runs)
