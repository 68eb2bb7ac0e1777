"""What results.json says of a run beside its figures: what was run, how it ended, with what code and data."""

import csv
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dlhw.files import read_json
from dlhw.folder.environment import environment
from dlhw.folder.provenance import provenance
from dlhw.folder.record import Record
from dlhw.prepare import Experiment


def summary(experiment: Experiment, record: Record) -> dict[str, Any]:
    """The part of results.json that is known before the test: what was run, and how the training ended."""
    config, trainer, monitor = experiment.config, experiment.trainer, experiment.monitor
    best_epoch = None if monitor is None else monitor.best_epoch
    last = record.rows[-1]
    best = next((row for row in record.rows if row["epoch"] == best_epoch), last)
    return {
        "name": config.name,
        "seed": config.seed,
        "epochs": trainer.epoch,
        "best_epoch": best_epoch,
        "monitor": None if monitor is None else f"{monitor.metric} ({monitor.mode})",
        **{key: value for key, value in last.items() if key.startswith("train/")},
        **{key: value for key, value in best.items() if key.startswith("val/")},
        "test_evaluations": experiment.test.evaluations,
        "duplicates": experiment.splits.duplicates and asdict(experiment.splits.duplicates),
        "seconds": trainer.seconds,
        "loss_below": config.loss_below and {"loss": config.loss_below, "step": trainer.first_below},
        "parameters": experiment.parameters,
        "flops_per_sample": experiment.flops,
        "layers": [{**asdict(layer), "output_shape": list(layer.output_shape or ())} for layer in experiment.layers],
        "threads": experiment.threads,
        "lanes": experiment.lanes,
        "world_size": experiment.ranks.world_size,
        "precision": experiment.precision,
        "limit_batches": config.limit_batches,
        **provenance(config, record.folder),
        **environment(trainer.device),
    }


def times_tested(folder: Path, step: float = math.inf, at_its_end: bool = False) -> int:
    """How often the run in `folder` has evaluated its test split, up to a step: with rows, and at each end it had.

    at_its_end: nothing is left to train, and the end that comes evaluates again what the last one did; it counts once.
    """
    metrics, results = folder / "metrics.csv", read_json(folder / "results.json")
    lines = csv.DictReader(metrics.read_text().splitlines() if metrics.is_file() else [])
    tested = [(whole(line["epoch"]), whole(line["step"])) for line in lines if line.get("test/loss")]
    before_its_end = sum(epoch <= whole(results.get("epochs")) for epoch, _ in tested)
    ends = max(0, whole(results.get("test_evaluations")) - before_its_end)
    return sum(at <= step for _, at in tested) + ends - (at_its_end and ends > 0)


def whole(figure: object) -> int:
    """A figure of a file; 0 where it is none."""
    return int(str(figure)) if str(figure).isdecimal() else 0


def times_tested_since(folder: Path) -> int:
    """How often dlhw-eval has evaluated its test split."""
    return sum(read_json(path).get("split") == "test" for path in folder.glob("evaluations/*.json"))
