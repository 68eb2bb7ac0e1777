"""Planned runs, small enough for a test: trained as lanes, and each alone, as joblib's workers would."""

import csv
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from dlhw.config.shipped import hydra_session
from dlhw.files import write_text
from dlhw.folder.record import Record
from dlhw.jobs import taken_up
from dlhw.lanes.train import train_lanes
from dlhw.one_run import train
from dlhw.progress import quiet
from dlhw.sweep.plan import Composer

TINY = ("plots=none", "device=cpu", "threads=1", "dataset.train_size=200", "batch_size=40", "epochs=2")
FC = (*TINY, "model=fc", "model.hidden=[16]")


def plan(folder: Path, *overrides: str) -> Path:
    """The folder with a run's config in it; later overrides win."""
    typed = {override.partition("=")[0]: override for override in overrides}
    with hydra_session():
        config = composer().compose(list(typed.values()))
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / ".hydra" / "config.yaml", OmegaConf.to_yaml(config))
    return folder


@cache
def composer() -> Composer:
    return Composer(GlobalHydra.instance().config_loader(), [])


def plan_all(place: Path, runs: Sequence[Sequence[str]]) -> list[Path]:
    return [plan(place / str(index), *overrides) for index, overrides in enumerate(runs)]


def in_lanes(place: Path, runs: Sequence[Sequence[str]]) -> list[Path]:
    folders = plan_all(place, runs)
    with quiet():
        train_lanes(folders, "continue")
    return folders


def alone(place: Path, runs: Sequence[Sequence[str]]) -> list[Path]:
    folders = plan_all(place, runs)
    for folder in folders:
        train_alone(folder)
    return folders


def train_alone(folder: Path) -> None:
    record = Record(folder)
    with quiet(), record.running():
        experiment, checkpoints = taken_up(record, share=1)
        train(experiment, record, checkpoints)


def column(folder: Path, name: str, file: str = "steps.csv") -> list[float]:
    with (folder / file).open(newline="") as lines:
        return [float(row[name]) for row in csv.DictReader(lines)]


def status(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "status.json").read_text())


def results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())
