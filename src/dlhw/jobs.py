"""What Hydra's launchers call for one run of a sweep, in whatever process it trains."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from dlhw.config.compose import settle, typed
from dlhw.config.saved import load_config
from dlhw.errors import first_line
from dlhw.folder.checkpoint import Checkpoints
from dlhw.folder.record import Record
from dlhw.one_run import display, restored, train
from dlhw.prepare import Experiment, prepare
from dlhw.process import cores, end_with
from dlhw.progress import quiet

log = logging.getLogger("dlhw")


def planned_job(config: DictConfig) -> None:
    """One run of a planned sweep, by the config that lies in its folder, from its last checkpoint if it has one.

    config: parent (the sweep's process, where this one is its worker), workers (runs that train at once), on_error,
    trust. A failure is recorded in the run's folder and goes no further.
    """
    folder = Path(HydraConfig.get().runtime.output_dir)
    stop = folder.parent / ".stop"
    if stop.exists():
        return
    if config.parent is not None:
        end_with(config.parent)
    record = Record(folder)
    try:
        with quiet(), record.running(wait=60):
            experiment, checkpoints = taken_up(record, max(1, cores() // config.workers), config.trust)
            train(experiment, record, checkpoints)
    except Exception:  # its traceback is in status.json
        if config.on_error == "stop":
            stop.touch()


def taken_up(record: Record, share: int, trust: Sequence[str] = ()) -> tuple[Experiment, Checkpoints]:
    """A planned run, prepared by the config in its folder, where its last checkpoint left it if it has one."""
    own = load_config(record.folder, trust)  # checked when it was planned
    experiment, checkpoints = restored(own, record.folder, share)
    experiment.config.threads = experiment.threads  # the same bits when another machine load finds it again
    record.rewind(experiment.trainer.recorded)
    record.config(experiment.config)
    return experiment, checkpoints


def optimised_job(config: DictConfig) -> float | None:
    """One trial of a sweeper that optimises, in the folder that Hydra made: its monitored figure; None if it failed."""
    record = Record(Path(HydraConfig.get().runtime.output_dir))
    try:
        with quiet(), record.running(begin=partial(record.config, config, HydraConfig.instance().cfg)):
            settle(config, typed(HydraConfig.instance().cfg))  # type: ignore[arg-type]
            experiment = prepare(config, share=share(HydraConfig.get().launcher))
            record.config(experiment.config)
            run = train(experiment, record)
    except Exception as error:
        log.error("%s failed: %s", display(record.folder), first_line(error))
        return None
    monitor = experiment.monitor
    return float("nan") if monitor is None else float(run.results[monitor.metric])


def share(launcher: DictConfig) -> int:
    """The cores of a trial, beside those that joblib trains at the same time, or as submitit was told."""
    told: int | None = launcher.get("cpus_per_task")
    return told or max(1, cores() // max(1, launcher.get("n_jobs") or 1))
