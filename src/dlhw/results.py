"""What results.json says of a run beside its figures: what was run, how it ended, with what code and data."""

from dataclasses import asdict
from typing import Any

from omegaconf import OmegaConf

from dlhw import fingerprint
from dlhw.config import GROUPS
from dlhw.environment import environment
from dlhw.prepare import Experiment
from dlhw.record import Record


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
        "test_evaluations": 1 + sum("test/loss" in row for row in record.rows),
        "baselines": experiment.task.baselines(experiment.splits.train, experiment.splits.test),
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
        **provenance(experiment),
        **environment(trainer.device),
    }


def provenance(experiment: Experiment) -> dict[str, Any]:
    """By what a later sweep knows whether this result is still of today's code and data."""
    parts = {group: OmegaConf.to_container(experiment.config[group]) for group in (*GROUPS, "backend")}
    targets = sorted(set(fingerprint.targets_in(parts)))
    folder = experiment.data
    data = None if folder is None else {"folder": str(folder.resolve()), "files": fingerprint.of_files(folder)}
    return {"code": fingerprint.of_code(targets), "targets": targets, "data": data}
