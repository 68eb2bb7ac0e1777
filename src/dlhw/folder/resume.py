"""A run that stopped, opened again: its own config, and what may change in it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from dlhw.config.check import check
from dlhw.config.explain import of_a_file
from dlhw.config.hydra_keys import typed_value
from dlhw.config.saved import load_config
from dlhw.config.yaml_files import unreadable
from dlhw.errors import UserError, did_you_mean
from dlhw.folder.checkpoint import has_checkpoint

WHOLE_RUN = ("cosine", "onecycle")  # schedules whose shape spans the run, so that its length cannot change


@dataclass
class Reopened:
    config: DictConfig
    finished: bool
    results: dict[str, Any]  # empty unless finished


def reopen(folder: Path, overrides: Sequence[str]) -> Reopened:
    """The saved config of the run in `folder`, with `epochs` raised if the user asks for it.

    Raises UserError for a folder that holds no run, and for any other override.
    """
    config = saved_config(folder, "resume", typed_value(overrides, "trust") or ())
    asked = [override.lstrip("+~").partition("=") for override in overrides]
    foreign = ["".join(parts) for parts in asked if parts[0] not in ("resume", "epochs", "trust")]
    if foreign:
        raise UserError(f"resume={folder}: a resumed run keeps its own config, so {foreign[0]} is refused; only epochs "
                        f"may be raised")  # fmt: skip
    results = read_json(folder / "results.json")
    finished = read_json(folder / "status.json").get("status") == "finished"
    epochs = typed_value(overrides, "epochs")
    if epochs is not None:
        raise_epochs(config, int(epochs), folder)
        finished = finished and results.get("epochs") == config.epochs
    if finished or has_checkpoint(folder):
        return Reopened(config, finished, results)
    # A row is written just before its checkpoint: a run killed between its first two begins anew.
    if len(rows(folder)) > 1 or (rows(folder) and config.checkpoints == "none"):
        raise UserError(f"resume={folder}: there is no checkpoints/last.pt to go on from "
                        f"(checkpoints={config.checkpoints})")  # fmt: skip
    return Reopened(config, finished, results)


def rows(folder: Path) -> list[str]:
    metrics = folder / "metrics.csv"
    return metrics.read_text().splitlines()[1:] if metrics.is_file() else []


def raise_epochs(config: DictConfig, epochs: int, folder: Path) -> None:
    schedule = str(config.scheduler._target_).rpartition(".")[2]
    if epochs < config.epochs:
        raise UserError(
            f"epochs={epochs}: {folder} was planned for {config.epochs}; in a resumed run they can only rise"
        )
    if epochs > config.epochs and schedule in WHOLE_RUN:
        raise UserError(f"epochs={epochs}: scheduler {schedule} spans the {config.epochs} epochs that {folder} was "
                        f"planned for, so they cannot be raised; start a new run")  # fmt: skip
    config.epochs = epochs


def saved_config(folder: Path, key: str, trust: Sequence[str] = ()) -> DictConfig:
    """The checked config of the run in `folder`, which the user gave as `key`. trust: as typed beside it.

    Raises UserError where there is none, or none that can be used.
    """
    if not holds_a_run(folder):
        siblings = [str(path) for path in folder.parent.glob("*")] if folder.parent.is_dir() else []
        raise UserError(f"{key}={folder}: holds no run (no .hydra/config.yaml){did_you_mean(str(folder), siblings)}")
    try:
        config = load_config(folder, trust)
        check(config)
    except (yaml.YAMLError, OmegaConfBaseException, OSError, ValueError, RecursionError, UserError) as error:
        raise UserError(f"{folder / '.hydra' / 'config.yaml'}: {of_a_file(error)}") from error
    return config


def holds_a_run(folder: Path) -> bool:
    try:
        return (folder / ".hydra" / "config.yaml").is_file()
    except OSError:  # a name that is too long
        return False


def read_json(path: Path) -> dict[str, Any]:
    """The contents, or nothing where the file does not exist. Raises UserError where it is damaged."""
    try:
        contents: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    except ValueError as error:
        raise UserError(f"{path} is damaged: {unreadable(error)}") from error
    if not isinstance(contents, dict):
        raise UserError(f"{path} is damaged: it holds no mapping of names to values")
    return contents
