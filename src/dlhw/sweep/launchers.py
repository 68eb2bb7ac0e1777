"""Hydra's launchers: how many runs each trains at once, and a way to wait that outlasts the loss of one."""

import logging
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from omegaconf import DictConfig, OmegaConf

from dlhw.errors import UserError, first_line
from dlhw.files import write_json
from dlhw.process import cores
from dlhw.sweep.launch import status_of
from dlhw.sweep.watch import changed

log = logging.getLogger("dlhw_sweep")

ATTEMPTS = 3  # at workers that are killed before they begin a run
LOOK = 0.2  # seconds between two looks at the jobs of this machine


def kind(config: DictConfig) -> str:
    """joblib, vectorized, submitit_local, submitit_slurm; else the launcher's class."""
    target = str(config.hydra.launcher._target_)
    if target.startswith("hydra_plugins.hydra_submitit_launcher."):
        return "submitit_slurm" if target.endswith(".SlurmLauncher") else "submitit_local"
    return {"JoblibLauncher": "joblib", "VectorizedLauncher": "vectorized"}.get(target.rpartition(".")[2], target)


def is_submitit(config: DictConfig) -> bool:
    return kind(config).startswith("submitit_")


def check_launcher(config: DictConfig) -> None:
    """Raises UserError where the launcher cannot work on this machine, or for this sweep."""
    if kind(config) == "vectorized":
        if str(config.hydra.sweeper._target_).endswith(".DlhwOptuna"):
            raise UserError("hydra/launcher=vectorized: trains runs that are planned, not the trials of optuna; "
                            "take hydra/launcher=joblib")  # fmt: skip
        if config.hydra.launcher.max_lanes is not None and config.hydra.launcher.max_lanes < 1:
            raise UserError(f"hydra.launcher.max_lanes={config.hydra.launcher.max_lanes}: must be at least 1, or null")
    if kind(config) == "submitit_slurm" and shutil.which("srun") is None:
        raise UserError("hydra/launcher=submitit_slurm: there is no Slurm here (no srun on the PATH); type this on a "
                        "login node of the cluster, or take hydra/launcher=submitit_local")  # fmt: skip


def train_in_workers(
    train: Callable[[Sequence[Path], int], None], folders: Sequence[Path], workers: int, on_error: str
) -> None:
    """Have processes of this one train runs, whatever becomes of them.

    Where one is killed, joblib ends them all, and nobody knows which was too much for memory. What was under way goes
    on from its checkpoints, each run with no other beside it; one that is killed again has failed. train: the runs of
    these folders by joblib, so many at once.
    """
    todo, attempts = list(folders), 0
    while todo and attempts < ATTEMPTS and not is_stopped(folders):
        before = {folder: changed(folder / "status.json") for folder in todo}
        try:
            train(todo, workers)
            return
        except BrokenProcessPool:
            begun = [folder for folder in todo if changed(folder / "status.json") != before[folder]]
            todo = [folder for folder in todo if folder not in begun]
            under_way = [folder for folder in begun if status_of(folder) in ("running", "interrupted")]
            attempts = 0 if begun else attempts + 1
            log.info("a worker was killed (out of memory?); what was under way goes on, one run at a time")
        for folder in under_way:
            if not is_stopped(folders):
                train_apart(train, folder, on_error)


def is_stopped(folders: Sequence[Path]) -> bool:
    """Whether a run has failed, and on_error is stop."""
    return (folders[0].parent / ".stop").exists()


def train_apart(train: Callable[[Sequence[Path], int], None], folder: Path, on_error: str) -> None:
    """Train a run in a process of its own; where that is killed, say so in its place."""
    try:
        train([folder], 2)  # a single one joblib would train in this process
    except BrokenProcessPool as error:
        write_json(folder / "status.json", {"status": "failed", "error": killed(folder, error)})
        if on_error == "stop":
            (folder.parent / ".stop").touch()


def killed(folder: Path, error: BrokenProcessPool) -> str:
    """What is known of a run's end, from loky's words of the signal that ended its process."""
    found = re.search(r"SIG[A-Z]+", str(error))
    name = found[0] if found else "an unknown signal"
    if name not in ("SIGKILL", "an unknown signal"):
        return f"its process was ended by {name}, with no other run beside it"
    batch_size = OmegaConf.select(OmegaConf.load(folder / ".hydra" / "config.yaml"), "batch_size")
    return (f"its process was killed ({name}), with no other run beside it, probably for want of memory: "
            f"try a smaller batch_size (now {batch_size}) or model")  # fmt: skip


def submitted_at_once(config: DictConfig) -> int:
    """The runs that submitit trains at the same time: as many as Slurm is told, or as this machine has cores for."""
    launcher = config.hydra.launcher
    if kind(config) == "submitit_slurm":
        return int(launcher.array_parallelism)
    return max(1, cores() // (launcher.cpus_per_task or 1))


def submit(
    launcher: Any, overrides: Sequence[Sequence[str]], first: int, folders: Sequence[Path], at_once: int
) -> None:
    """Have submitit train runs, and wait for each, whatever becomes of the others.

    The plugin's own `launch` leaves at the first run that is lost; here its status.json is told what it could not say
    itself. launcher: the plugin's. first: the number of the first job. An interrupt cancels what is submitted.
    """
    state = Singleton.get_state()
    calls = [(list(own), "hydra.sweep.dir", first + i, str(first + i), state) for i, own in enumerate(overrides)]
    executor = executor_of(launcher)
    jobs: list[Any] = []
    try:
        if launcher._EXECUTOR == "slurm":  # one array, of which Slurm trains array_parallelism at once
            jobs += executor.map_array(launcher, *zip(*calls, strict=True))
        for call in calls[len(jobs) :]:
            while sum(not job.done() for job in jobs) >= at_once:
                time.sleep(LOOK)
            jobs.append(executor.submit(launcher, *call))
        for job, folder in zip(jobs, folders, strict=True):
            wait(job, folder)
    except BaseException:
        for job in jobs:
            if not job.done():
                cancel(job, launcher._EXECUTOR)
        raise


def cancel(job: Any, executor: str) -> None:
    """Here by SIGTERM, which the job's parent hands down: submitit's own SIGINT is ignored below a shell's `&`."""
    if executor == "slurm":
        job.cancel(check=False)
    else:
        with suppress(ProcessLookupError):
            os.kill(int(job.job_id), signal.SIGTERM)


def executor_of(launcher: Any) -> Any:
    """submitit's executor by the keys of hydra.launcher, as the plugin has it: Slurm's own keys bear its name."""
    import submitit
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

    shared = set(OmegaConf.structured(BaseQueueConf))
    params = {k if k in shared else f"{launcher._EXECUTOR}_{k}": value for k, value in launcher.params.items()}
    folder = params.pop("submitit_folder")
    at_start = {key: params.pop(key) for key in list(params) if key.endswith("_max_num_timeout")}
    executor = submitit.AutoExecutor(folder, cluster=launcher._EXECUTOR, **at_start)
    executor.update_parameters(**params)
    return executor


def wait(job: Any, folder: Path) -> None:
    """Until a submitted run has ended. One whose process left no result is marked as interrupted."""
    from submitit.core.utils import FailedJobError, UncompletedJobError

    where = f"see {job.paths.stderr}"
    try:
        job.results()
    except UncompletedJobError:
        mark_lost(folder, f"job {job.job_id} ended without a result (time limit? memory?); {where}")
    except FailedJobError as error:
        told = [line for line in str(error).splitlines() if "Error: " in line]
        mark_lost(folder, f"job {job.job_id} failed: {first_line(told[-1] if told else error)}; {where}")


def mark_lost(folder: Path, error: str) -> None:
    """Of a run whose process is gone without a word."""
    if status_of(folder) in ("queued", "running", "interrupted"):
        write_json(folder / "status.json", {"status": "interrupted", "error": error})
