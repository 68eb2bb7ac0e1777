"""A whole sweep told from top to bottom: plan, train what is missing, name what failed, report."""

import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from dlhw.progress import quiet
from dlhw.sweep.launch import Options, Sweep
from dlhw.sweep.launchers import check_launcher, end_workers, is_submitit, kind, start_workers, submitted_at_once
from dlhw.sweep.plan import Plan

if TYPE_CHECKING:
    from dlhw.sweep.preflight import Expectation

log = logging.getLogger("dlhw_sweep")


def run_whole(plan: Plan, config: DictConfig, launch: Callable[[Sequence[Path], int], None]) -> None:
    """Raises SystemExit(1) where a run of the plan is not finished at the end."""
    check_launcher(config)
    workers = workers_for(config, len(plan.jobs))
    spread_over_gpus(plan, config, workers)
    typed_folder = any(word.startswith("hydra.sweep.dir=") for word in config.hydra.overrides.hydra)
    folder = Path(config.hydra.sweep.dir) if typed_folder else plan.folder
    lanes, by_joblib = kind(config) == "vectorized", kind(config) == "joblib" and workers > 1

    def expect(configs: Sequence[DictConfig]) -> "Expectation":
        if by_joblib and not config.dry_run:
            meanwhile(lambda: start_workers(config.hydra.launcher, workers))
        return expected(configs)

    tried = None if kind(config) == "submitit_slurm" else expect
    sweep = Sweep(plan, Options(folder, config.on_error, config.rerun, config.dry_run, workers, tried, lanes))

    def launched(folders: list[Path]) -> None:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # loky's, of a worker that it replaces
            meanwhile(load_report)
            launch(folders, workers)
            if by_joblib:
                end_workers()

    finished = sweep.run(launched)
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


def meanwhile(work: Callable[[], object]) -> None:
    """Do it beside what follows, which waits for others most of the time, and can do without it, should it fail."""

    def done_or_not() -> None:
        with suppress(Exception):
            work()

    Thread(target=done_or_not, daemon=True).start()


def load_report() -> None:
    """What the page at the end is made with: a second of imports."""
    for module in ("dlhw.report.page", "scipy.stats"):
        import_module(module)


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
    from dlhw.machine import cores

    return max(1, min(cores() + 1 + told, runs))


def cuda_devices(device: str) -> int:
    if device != "auto" and not str(device).startswith("cuda"):
        return 0
    import torch

    return 1 if ":" in device else torch.cuda.device_count()


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
