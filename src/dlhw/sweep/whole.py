"""A whole sweep told from top to bottom: plan, train what is missing, name what failed, report."""

import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from dlhw.errors import UserError
from dlhw.process import cores
from dlhw.progress import quiet
from dlhw.sweep.launch import Options, Sweep
from dlhw.sweep.launchers import check_launcher, is_submitit, kind, submitted_at_once
from dlhw.sweep.plan import Plan
from dlhw.sweep.workers import Workers, load, meanwhile

if TYPE_CHECKING:
    from dlhw.sweep.preflight import Expectation

log = logging.getLogger("dlhw_sweep")

OF_A_RUN = ("dlhw.jobs", "dlhw.plot.run")  # what a worker needs, torch and matplotlib with it: 4 s of imports
OF_THE_REPORT = ("dlhw.report.page", "scipy.stats")  # a second


def run_whole(plan: Plan, config: DictConfig, launch: Callable[[Sequence[Path], int], None]) -> None:
    """Raises SystemExit(1) where a run of the plan is not finished at the end."""
    check_launcher(config)
    workers = workers_for(config, len(plan.jobs))
    spread_over_gpus(plan, config, workers)
    typed_folder = any(word.startswith("hydra.sweep.dir=") for word in config.hydra.overrides.hydra)
    folder = Path(config.hydra.sweep.dir) if typed_folder else plan.folder
    tried = None if kind(config) == "submitit_slurm" else expected
    lanes = kind(config) == "vectorized"
    sweep = Sweep(plan, Options(folder, config.on_error, config.rerun, config.dry_run, workers, tried, lanes))
    todo = plan.jobs if config.rerun else sweep.missing()
    needed = kind(config) == "joblib" and workers > 1 and todo and not config.dry_run
    early = Workers(config.hydra.launcher, workers) if needed else None

    def launched(folders: list[Path]) -> None:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # loky's, of a worker that it replaces
            meanwhile(lambda: load(OF_THE_REPORT))
            launch(folders, workers)
            if early is not None:
                early.end()

    try:
        if early is not None:
            early.start(OF_A_RUN)
        plan.check_parts(todo)
        finished = sweep.run(launched)
    except UserError:
        if early is not None:
            early.end(at_once=True)
        raise
    if config.dry_run:
        return
    report(folder)
    failures = sweep.failures()
    done = len(plan.jobs) - len(failures)
    log.info("%d of %d runs finished: %s", done, len(plan.jobs), folder)
    if not finished:
        print("\n".join(["not finished:", *(f"  {line}" for line in failures)]), file=sys.stderr)
        raise SystemExit(1)


def expected(configs: Sequence[DictConfig]) -> "Expectation":
    from dlhw.sweep.preflight import expect  # which imports torch: a sweep that is done needs none

    return expect(configs)


def workers_for(config: DictConfig, runs: int) -> int:
    """How many runs train at once: joblib's n_jobs; -1 is one a core, or one a GPU where the runs train on GPUs."""
    if is_submitit(config):
        return min(submitted_at_once(config), runs)
    if kind(config) != "joblib":
        return 1
    told = int(config.hydra.launcher.n_jobs)
    if told > 0:
        return min(told, runs)
    gpus = cuda_devices(config.device)
    if gpus:
        return min(gpus, runs)
    return max(1, min(cores() + 1 + told, runs))


def cuda_devices(device: str) -> int:
    if (device != "auto" and not str(device).startswith("cuda")) or not has_gpu_driver():
        return 0
    import torch

    return 1 if ":" in device else torch.cuda.device_count()


def has_gpu_driver() -> bool:
    """Whether torch, whose import takes seconds, need be asked: NVIDIA's (in WSL, on a Jetson) or AMD's.

    Elsewhere than on Linux it always is.
    """
    devices = ("/dev/nvidiactl", "/dev/dxg", "/dev/nvmap", "/dev/kfd")
    return not sys.platform.startswith("linux") or any(Path(device).exists() for device in devices)


def spread_over_gpus(plan: Plan, config: DictConfig, workers: int) -> None:
    """The GPUs in turn, where several runs train at once and nobody typed which."""
    gpus = cuda_devices(config.device) if workers > 1 and kind(config) == "joblib" else 0
    for index, job in enumerate(plan.jobs):
        if gpus > 1 and job.config.device in ("auto", "cuda"):
            job.config.device = f"cuda:{index % gpus}"


def report(folder: Path) -> None:
    """The summary, plots and page; a report that fails loses no run."""
    try:
        from dlhw.report.write import write_report

        log.info("report: %s", folder / write_report([folder]).name)
    except Exception as error:
        log.error("the report failed: %s: %s; dlhw-report %s tries again", type(error).__name__, error, folder)
        log.debug("traceback", exc_info=True)
