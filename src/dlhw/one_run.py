"""One run told from top to bottom: compose, prepare, fit, test, record, plot."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
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

from dlhw import fingerprint
from dlhw.capture import capture
from dlhw.checkpoint import Checkpoints, expected_bytes
from dlhw.compose import settle, typed
from dlhw.config import GROUPS, load_config
from dlhw.dataset.seeds import derive
from dlhw.distributed import ALONE, Ranks
from dlhw.environment import environment
from dlhw.errors import UserError, first_line
from dlhw.machine import cores, cpu_settings, end_with
from dlhw.monitor import Monitor
from dlhw.prepare import Experiment, first_inputs, prepare
from dlhw.progress import follow, quiet
from dlhw.record import Record
from dlhw.resume import reopen
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
    announce(experiment, record)
    with cpu_settings(experiment.threads), logged(experiment, record.folder) as logger:
        if not (monitor and monitor.out_of_patience):
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
    with cpu_settings(experiment.threads):
        if not (monitor and monitor.out_of_patience):
            for row in trainer.fit(config.epochs, config.log_every):
                rows.append(row)
                if config.test_every_epoch:
                    row |= trainer.evaluate(experiment.splits.test, "test")
                if monitor is not None:
                    monitor.better(row)
                if stops_early(monitor):
                    break
    trainer.part()
    return Run(folder, rows, {}, [])


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
        row |= trainer.evaluate(experiment.splits.test, "test")
    better = monitor is not None and monitor.better(row)
    record.row(row)
    checkpoints.keep(trainer, monitor, better)


def finish(experiment: Experiment, record: Record, checkpoints: Checkpoints) -> Run:
    """Test the weights that were chosen, and leave results and pictures."""
    config, trainer = experiment.config, experiment.trainer
    trainer.part()
    trainer.model.load_state_dict(checkpoints.chosen(trainer))
    figures, arrays = judge(experiment, "test")
    arrays |= views(experiment)
    results = {**summary(experiment, record), **figures}
    record.arrays(arrays)
    record.results(results)
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
    """Have Hydra make the run's folder and its .hydra files, and train there."""
    folder = Path(config.hydra.run.dir)
    if (folder / "status.json").exists():
        raise UserError(f"hydra.run.dir={folder}: holds a run already; go on with it by resume={folder}")
    context = HydraContext(config_loader=GlobalHydra.instance().config_loader(), callbacks=Callbacks(config))

    def task(_: DictConfig) -> Run:
        record = Record(Path(HydraConfig.get().runtime.output_dir))
        with record.running(), experiment.ranks.guard(record):
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
            experiment, checkpoints = restored(reopened.config, folder, ranks)
    if ranks.rank:
        return Run(folder, [], reopened.results, []) if reopened.finished else accompany(experiment, folder)
    record = Record(folder)
    if reopened.finished:
        record.rewind()
        log.info("%s is finished after %d epochs; to go on, raise epochs", folder, reopened.results["epochs"])
        return Run(folder, record.rows, reopened.results, sorted((folder / "plots").glob("*.png")))
    with record.running(), ranks.guard(record):
        record.rewind(experiment.trainer.epoch, experiment.trainer.step)
        record.config(experiment.config)
        log.info("going on after epoch %d", experiment.trainer.epoch)
        return train(experiment, record, checkpoints)


def restored(config: DictConfig, folder: Path, ranks: Ranks) -> tuple[Experiment, Checkpoints]:
    """An experiment as it was at the last epoch that was kept in the folder."""
    experiment = prepare(config, trained=(folder / "checkpoints" / "last.pt").is_file(), ranks=ranks)
    checkpoints = new_checkpoints(experiment, folder)
    with nullcontext() if ranks.rank else Record(folder).locked():  # the epoch is nobody else's to move
        if checkpoints.exist():
            checkpoints.restore(experiment.trainer, experiment.monitor)
    return experiment, checkpoints


def planned_job(config: DictConfig) -> None:
    """One run of a planned sweep, by the config that lies in its folder, from its last checkpoint if it has one.

    config: parent (the sweep's process, where this one is its worker), workers (runs that train at once), on_error. A
    failure is recorded in the run's folder and goes no further.
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
            experiment, checkpoints = taken_up(record, share=max(1, cores() // config.workers))
            train(experiment, record, checkpoints)
    except Exception:  # its traceback is in status.json
        if config.on_error == "stop":
            stop.touch()


def taken_up(record: Record, share: int) -> tuple[Experiment, Checkpoints]:
    """A planned run, prepared by the config in its folder, where its last checkpoint left it if it has one."""
    own = load_config(record.folder)  # checked when it was planned
    checkpoints_there = (record.folder / "checkpoints" / "last.pt").is_file()
    experiment = prepare(own, checkpoints_there, share=share)
    experiment.config.threads = experiment.threads  # the same bits when another machine load finds it again
    checkpoints = new_checkpoints(experiment, record.folder)
    if checkpoints_there:
        checkpoints.restore(experiment.trainer, experiment.monitor)
    record.rewind(experiment.trainer.epoch, experiment.trainer.step)
    record.config(experiment.config)
    return experiment, checkpoints


def optimised_job(config: DictConfig) -> float | None:
    """One trial of a sweeper that optimises, in the folder that Hydra made: its monitored figure; None if it failed."""
    record = Record(Path(HydraConfig.get().runtime.output_dir))
    try:
        with quiet(), record.running():
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


def new_checkpoints(experiment: Experiment, folder: Path) -> Checkpoints:
    return Checkpoints(folder, experiment.config.checkpoints, experiment.splits.preprocess.state_dict())


def judge(experiment: Experiment, name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Evaluate the model on a split once: its figures, with the split's name in front, and the arrays of the plots."""
    split = getattr(experiment.splits, name)
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
    model, test = experiment.model, experiment.splits.test
    arrays = {**experiment.before, **snapshot(model, first_inputs(experiment.splits.train), "after")}
    filtered = filter_outputs(model, first_inputs(test)[:1])
    if filtered is not None:
        arrays |= {"filter_image": test.raw([0])[0], "filter_outputs": filtered}
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
    needed = expected_bytes(trainer.model, trainer.optimizer, config.checkpoints)
    if needed > 1e9:
        log.info("checkpoints will take about %.1f GB in %s", needed / 1e9, display(record.folder))


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


def display(path: Path) -> str:
    """A path as seen from where the user stands."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
