"""What makes two runs the same run, and how a sweep's folders are named after it."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dlhw.config.check import plain
from dlhw.config.schema import GROUPS, Config

# Keys that change what is shown or where, and nothing that a run computes.
NO_PART_OF_A_RESULT = ("name", "plots", "data_dir", "resume", "trust", "logger")
ABOUT_THE_SWEEP = ("study", "seeds", "on_error", "rerun", "dry_run")
WORKERS = ("num_workers", "resident", "download")  # of a data set: how its images get to the device


def identity(config: DictConfig) -> dict[str, Any]:
    """All that a run's result depends on, resolved.

    A root key at its default is left out, so that a key added to dlhw later does not make every old run another one;
    so are `device` and `threads` while they are auto. What derives from `data_dir` stands without it.
    """
    with but_for(config, data_dir=""):
        resolved = {str(key): plain(config[key]) for key in config if key != "hydra"}
    kept = {f.name for f in fields(Config)} - {*GROUPS, *NO_PART_OF_A_RESULT, *ABOUT_THE_SWEEP}
    told = {key: resolved[key] for key in sorted(kept) if resolved[key] != defaults()[key]}
    told["seed"] = resolved["seed"]
    parts = {group: resolved[group] for group in GROUPS}
    parts["dataset"] = {key: value for key, value in parts["dataset"].items() if key not in WORKERS}
    return {**told, **parts}


@contextmanager
def but_for(config: DictConfig, **others: Any) -> Iterator[None]:
    """The config with other values at some root keys, and what derives from them; a copy would take longer than all."""
    before = OmegaConf.masked_copy(config, list(others))
    config.merge_with(others)
    try:
        yield
    finally:
        config.merge_with(before)


@cache
def defaults() -> dict[str, Any]:
    values: dict[str, Any] = OmegaConf.to_container(OmegaConf.structured(Config))  # type: ignore[assignment]
    return values


def digest(content: Any) -> str:
    """Twelve hexadecimal digits of plain data, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def short_name(values: Mapping[str, Any]) -> str:
    """A readable name for a folder out of what was swept: `lr=0.001,seed=2`; at most 60 characters."""
    words = [f"{key}={shown(value)}" for key, value in shortened(values).items()]
    return safe(",".join(words))[:60].strip("-,.") or "run"


def shortened(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keys without what stands before their last dot, where that leaves them apart."""
    last = [key.rpartition(".")[2] for key in values]
    return {short if last.count(short) == 1 else key: value
            for short, (key, value) in zip(last, values.items(), strict=True)}  # fmt: skip


def shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, default=str).strip("[]").replace('"', "").replace(", ", ",")


def safe(text: str) -> str:
    """Letters, digits and a few signs that no shell and no file system minds."""
    return re.sub(r"[^\w.,=+-]+", "-", text, flags=re.ASCII)


def common_name(names: Iterable[str], keys: Iterable[str]) -> str:
    """The sweep's name: its runs' own where they share one, else what is swept."""
    distinct = set(names)
    return distinct.pop() if len(distinct) == 1 else safe("_".join(shortened(dict.fromkeys(keys))))[:60]
