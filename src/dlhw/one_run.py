"""One run told from top to bottom: compose, prepare, fit, test, record, plot."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobStatus, run_job
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from dlhw.capture import capture
from dlhw.config.compose import typed
from dlhw.dataset.batches import Split
from dlhw.dataset.seeds import derive
from dlhw.distributed.ranks import ALONE, Ranks
from dlhw.errors import UserError
from dlhw.folder.checkpoint import Checkpoints, expected_bytes, has_checkpoint
from dlhw.folder.provenance import note_data, refuse_other_data
from dlhw.folder.record import Record
from dlhw.folder.results import summary, times_tested
from dlhw.folder.resume import reopen
from dlhw.machine import cpu_settings, deterministic
from dlhw.monitor import Monitor
from dlhw.out_of_memory import telling_of_training
from dlhw.prepare import Experiment, first_inputs, prepare
from dlhw.progress import follow
from dlhw.summary import as_table
from dlhw.views import filter_outputs, snapshot

log = logging.getLogger("dlhw")


@dataclass
class Run:
    """What a run hands back. rows: of metrics.csv; results: the figures of results.json; plots: the PNG files."""

    folder: Path
    rows: list[dict[str, float]]
    results: dict[str, Any]
    plots: list[Path]


def run(config: DictConfig, ranks: Ranks = ALONE) -> Run:
    """Train what a composed config describes, inside the Hydra session that composed it; see `dlhw.run`."""
    if config.study is not None or config.seeds is not None:
        raise UserError("study and seeds make many runs, and this is the door of one; use the command: dlhw study=…")
    if config.dry_run:
        raise UserError("dry_run=true: plans a sweep (-m, study=, seeds=), and this is one run; dlhw --cfg job shows "
                        "its config")  # fmt: skip
    if config.resume is not None:
        return resume(Path(config.resume), typed(config), ranks)
    with ranks.agreed():
        experiment = prepare(config, ranks=ranks)
    folder = Path(ranks.gather(config.hydra.run.dir)[0])
    return accompany(experiment, folder) if ranks.rank else in_new_folder(config, experiment)


def train(experiment: Experiment, record: Record, checkpoints: Checkpoints | None = None) -> Run:
    """Fit, test and plot an experiment, recording all of it. A resumed one comes with its checkpoints."""
    config, trainer, monitor = experiment.config, experiment.trainer, experiment.monitor
    checkpoints = checkpoints or new_checkpoints(experiment, record.folder)
    note_data(record.folder, experiment.data)
    announce(experiment, record)
    with settings_of(experiment), logged(experiment, record.folder) as logger, telling_of_training(trainer):
        if not (monitor and monitor.out_of_patience):
            trainer.after_step = checkpoints.within_epochs(config.checkpoint_every, trainer, monitor)
            if trainer.ranks.alone:
                capture(trainer, config.compile, config.cuda_graph is not False)
            for row in follow(trainer.fit(config.epochs, config.log_every), trainer.epoch, config.epochs):
                take(row, experiment, record, checkpoints)
                logger(row)
                if stops_early(monitor):
                    break
        return finish(experiment, record, checkpoints)


def accompany(experiment: Experiment, folder: Path) -> Run:
    """What every rank but the first does: the same steps, the same decisions, and nothing is written.

    Its dropout draws from a stream of its own. Of what a resumed run goes on with, weights, optimizer, order,
    augmentation and the first rank's dropout are exact; the others' dropout begins a new stream at that epoch.
    """
    config, trainer, monitor = experiment.config, experiment.trainer, experiment.monitor
    torch.manual_seed(derive(config.seed, 2, trainer.ranks.rank, trainer.epoch))
    rows: list[dict[str, float]] = []
    checkpoints = new_checkpoints(experiment, folder)  # of which it has a part in the sums alone
    trainer.after_step = checkpoints.within_epochs(config.checkpoint_every, trainer, monitor)
    with settings_of(experiment), telling_of_training(trainer):
        if not (monitor and monitor.out_of_patience):
            for row in trainer.fit(config.epochs, config.log_every):
                rows.append(row)
                if config.test_every_epoch:
                    row |= tested(experiment)
                if monitor is not None:
                    monitor.better(row)
                if stops_early(monitor):
                    break
    trainer.part()
    return Run(folder, rows, {}, [])


@contextmanager
def settings_of(experiment: Experiment) -> Iterator[None]:
    """torch as the run wants it, in this process."""
    with cpu_settings(experiment.threads), deterministic(experiment.config.deterministic):
        yield


def stops_early(monitor: Monitor | None) -> bool:
    if monitor is None or not monitor.out_of_patience:
        return False
    log.info("no better %s in %d rows: stopping early", monitor.metric, monitor.waited)
    return True


def take(row: dict[str, float], experiment: Experiment, record: Record, checkpoints: Checkpoints) -> None:
    """Put down a row of training, to which a test may be added, and keep the weights."""
    trainer, monitor = experiment.trainer, experiment.monitor
    record.steps(trainer.steps)
    if experiment.config.test_every_epoch and "test/loss" not in row:
        row |= tested(experiment)
    better = monitor is not None and monitor.better(row)
    record.row(row)
    checkpoints.keep(trainer, monitor, better)


def tested(experiment: Experiment) -> dict[str, float]:
    """The test split's part of a row."""
    with experiment.opened("test") as split:
        return experiment.trainer.evaluate(split, "test")


def finish(experiment: Experiment, record: Record, checkpoints: Checkpoints) -> Run:
    """Test the weights that were chosen, and leave results and pictures."""
    config, trainer = experiment.config, experiment.trainer
    trainer.part()
    trainer.model.load_state_dict(checkpoints.chosen(trainer))
    with experiment.opened("test") as test:
        figures, arrays = judge(experiment, "test", test)
        figures["baselines"] = experiment.task.baselines(experiment.splits.train, test)
    arrays |= views(experiment)
    results = {**summary(experiment, record), **figures}
    record.arrays(arrays)
    record.results(results)
    checkpoints.settle()
    plots = draw(record.folder, config.plots)
    told = ", ".join(f"{key} {results[key]:.4g}" for key in (f"test/{experiment.task.essence}", "test/loss"))
    log.info("%s, with the weights of epoch %d", told, results["best_epoch"] or trainer.epoch)
    if config.loss_below is not None:
        log.info("first step with a training loss below %g: %s", config.loss_below, trainer.first_below or "none")
    log.info("outputs: %s", display(record.folder))
    return Run(record.folder, record.rows, results, plots)


def draw(folder: Path, which: Literal["all", "basic", "none"]) -> list[Path]:
    if which == "none":
        return []
    from dlhw.plot.run import plot_run  # matplotlib: 0.2 s, that the first step does not wait for

    return plot_run(folder, which)


def in_new_folder(config: DictConfig, experiment: Experiment) -> Run:
    """Have Hydra make the run's folder, and train there."""
    folder = Path(config.hydra.run.dir)
    if (folder / "status.json").exists():
        raise UserError(f"hydra.run.dir={folder}: holds a run already; go on with it by resume={folder}")
    context = HydraContext(config_loader=GlobalHydra.instance().config_loader(), callbacks=Callbacks(config))

    def task(own: DictConfig) -> Run:
        record = Record(Path(HydraConfig.get().runtime.output_dir))
        begin = partial(record.config, own, HydraConfig.instance().cfg)
        with record.running(begin=begin), experiment.ranks.guard(record):
            return train(experiment, record)

    try:
        job = run_job(task, config, "hydra.run.dir", None, context, configure_logging=False)
    except OSError as error:
        problem = f"cannot write to {error.filename}: {error.strerror}"
        raise UserError(f"{problem}; stand in another folder, or set hydra.run.dir") from error
    if job.status is JobStatus.FAILED:
        raise job._return_value  # its property would print Hydra's own lines first
    finished: Run = job.return_value
    return finished


def resume(folder: Path, overrides: Sequence[str], ranks: Ranks) -> Run:
    """Go on with a run where it stopped, in its own folder, by its own config; only `epochs` may be raised."""
    with ranks.agreed():
        reopened = reopen(folder, overrides)
        if not reopened.finished:
            with nullcontext() if ranks.rank else Record(folder).locked():  # the epoch is nobody else's to move
                experiment, checkpoints = restored(reopened.config, folder, ranks=ranks)
    if ranks.rank:
        return Run(folder, [], reopened.results, []) if reopened.finished else accompany(experiment, folder)
    record = Record(folder)
    if reopened.finished:
        record.rewind()
        log.info("%s is finished after %d epochs; to go on, raise epochs", folder, reopened.results["epochs"])
        return Run(folder, record.rows, reopened.results, sorted((folder / "plots").glob("*.png")))
    with record.running(), ranks.guard(record):
        record.rewind(experiment.trainer.recorded)
        record.config(experiment.config)
        log.info("going on after epoch %d, step %d", experiment.trainer.epoch, experiment.trainer.steps_done)
        return train(experiment, record, checkpoints)


def restored(
    config: DictConfig, folder: Path, share: int | None = None, ranks: Ranks = ALONE
) -> tuple[Experiment, Checkpoints]:
    """An experiment as the folder's last checkpoint has it, or at its beginning where there is none; see `prepare`."""
    goes_on = has_checkpoint(folder)
    experiment = prepare(config, trained=goes_on, share=share, ranks=ranks)
    checkpoints = new_checkpoints(experiment, folder)
    if goes_on:
        refuse_other_data(folder, experiment.data)
        checkpoints.restore(experiment.trainer, experiment.monitor)
        experiment.test.evaluations = times_tested(folder, experiment.trainer.recorded, experiment.is_trained)
    return experiment, checkpoints


def new_checkpoints(experiment: Experiment, folder: Path) -> Checkpoints:
    return Checkpoints(folder, experiment.config.checkpoints, experiment.splits.preprocess.state_dict())


def judge(experiment: Experiment, name: str, split: Split) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Evaluate the model on a split once: its figures, with the split's name in front, and the arrays of the plots."""
    task, trainer = experiment.task, experiment.trainer
    parts: list[Tensor] = []
    row = trainer.evaluate(split, name, keep=lambda outputs: parts.append(task.kept(outputs)))
    kept = torch.cat(parts)
    figures = {f"{name}/{key}": value for key, value in task.figures(kept, split).items()}
    return {**figures, **row}, task.arrays(kept, split, trainer.model)


def views(experiment: Experiment) -> dict[str, np.ndarray]:
    """The pictures of the net's inside, before and after training; nothing unless all plots are wanted."""
    if experiment.config.plots != "all":
        return {}
    model, train = experiment.model, experiment.splits.train
    inputs = first_inputs(train)
    arrays = {**experiment.before, **snapshot(model, inputs, "after")}
    filtered = filter_outputs(model, inputs[:1])
    if filtered is not None:
        arrays |= {"filter_image": train.raw([0])[0], "filter_outputs": filtered}
    return arrays


@contextmanager
def logged(experiment: Experiment, folder: Path) -> Iterator[Callable[[dict[str, float]], None]]:
    """What takes each row beside the record: the run's logger, if it has one."""
    if experiment.logger is None:
        yield lambda row: None
    else:
        own = OmegaConf.masked_copy(experiment.config, [str(key) for key in experiment.config if key != "hydra"])
        text = OmegaConf.to_yaml(own, resolve=True)
        with experiment.logger.writing(folder, experiment.trainer.epoch, text) as row:
            yield row


def announce(experiment: Experiment, record: Record) -> None:
    """Say what is about to be trained, on what, and what it will take."""
    config, trainer, splits = experiment.config, experiment.trainer, experiment.splits
    parts = {"train": splits.train, "val": splits.val, "test": splits.test}
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in parts.items() if split is not None)
    log.info("%s\n%s", config.name, as_table(experiment.layers))
    log.info("samples: %s", sizes)
    how = f"{experiment.threads} CPU thread(s), precision {experiment.precision}, seed {config.seed}"
    processes = "" if experiment.ranks.alone else f"{experiment.ranks.world_size} processes, each with "
    log.info("%s, %s%s", trainer.device, processes, how)
    if duplicates := str(splits.duplicates or ""):
        log.warning("warning: %s", duplicates)
    needed = expected_bytes(trainer.model, trainer.optimizer, config.checkpoints)
    if needed > 1e9:
        log.info("checkpoints will take about %.1f GB in %s", needed / 1e9, display(record.folder))


def display(path: Path) -> str:
    """A path as seen from where the user stands."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
