"""`hydra/sweeper=optuna` from top to bottom: what is optimised, the trials, and what the study leaves.

The search is hydra-optuna-sweeper's. Only where that is installed can this be imported.
"""

import logging
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from typing import Any

import optuna
import yaml
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl, create_params_from_overrides
from omegaconf import DictConfig, OmegaConf

from dlhw.config.check import unknown_key
from dlhw.errors import RunFailed, UserError, first_line
from dlhw.files import write_text
from dlhw.monitor import Monitor
from dlhw.prepare import prepare
from dlhw.sweep.grammar import root
from dlhw.sweep.identity import digest
from dlhw.sweep.launchers import check_launcher, kind
from dlhw.sweep.plan import Composer
from dlhw.sweep.trials import Trials
from dlhw.sweep.watch import Watch
from dlhw.sweep.whole import report

log = logging.getLogger("dlhw_sweep")

OF_OTHER_SWEEPS = ("study", "seeds", "rerun", "resume")
DIRECTIONS = {"min": "minimize", "max": "maximize"}


def optimise(
    settings: dict[str, Any], arguments: Sequence[str], config: DictConfig, context: HydraContext, task: TaskFunction
) -> None:
    """Try values, write down the best, report. settings: of hydra.sweeper.

    Raises UserError before the first trial, RunFailed where none finishes.
    """
    silence_the_plugin()
    check_launcher(config)
    check_keys(settings)
    folder, name = unused(Path(config.hydra.sweep.dir)), config.name  # by its choices, before others are composed
    composer = Composer(context.config_loader, list(config.hydra.overrides.hydra))
    words = [*(f"{key}={value}" for key, value in (settings["params"] or {}).items()), *arguments]
    swept, fixed = searched(words)
    monitor = monitor_of(probes(swept, fixed), composer, elsewhere=kind(config) == "submitit_slurm")
    wanted = direction(settings["direction"], monitor)
    told = f"{settings['n_trials']} trials, {settings['n_jobs']} at a time, to {wanted} {monitor.metric}"
    log.info("%s: %s", name, told)
    if config.dry_run:
        log.info("dry_run=true: nothing is trained; the trials would lie in %s", folder)
        return
    most_failures = 0.0 if config.on_error == "stop" else settings["max_failure_rate"]
    settings = {**settings, "direction": wanted, "max_failure_rate": 1.0, "sampler": sampler(settings, config)}
    search: Any = OptunaSweeperImpl(**settings)
    search.setup(config=side_by_side(config, folder, search.n_jobs), hydra_context=context, task_function=task)
    head = {"kind": "sweep", "name": name, "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])}
    trials = Trials(search.launcher, folder, monitor.metric, {**head, "keys": list(swept)}, composer, most_failures)
    search.launcher = trials
    with Watch([(f"trial {index}", folder / str(index)) for index in range(search.n_trials)], search.n_jobs):
        carry_out(search, trials, arguments)
    report(folder)
    tell(trials, monitor)


def silence_the_plugin() -> None:
    """hydra-optuna-sweeper 1.3 speaks optuna 2's language, and its log repeats what our display tells."""
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"optuna\.|hydra_plugins\.hydra_optuna_sweeper")
    optuna.logging.set_verbosity(logging.WARNING)
    logging.getLogger("hydra_plugins.hydra_optuna_sweeper").setLevel(logging.CRITICAL)


def check_keys(settings: dict[str, Any]) -> None:
    """Of hydra.sweeper; what is typed without a plus Hydra has checked."""
    known = list(signature(OptunaSweeperImpl).parameters)
    for key in settings:
        if key not in known:
            raise UserError(unknown_key(f"hydra.sweeper.{key}", known))
    if settings["storage"] is not None and int(version("sqlalchemy").partition(".")[0]) >= 2:
        raise UserError(f"hydra.sweeper.storage={settings['storage']}: the optuna of hydra-optuna-sweeper stores "
                        f"nothing by SQLAlchemy {version('sqlalchemy')}: pip install 'sqlalchemy<2'")  # fmt: skip


def searched(words: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """optuna's distributions by key, and the keys that are fixed. Raises UserError."""
    for word in words:
        if (key := root(word.partition("=")[0])) in OF_OTHER_SWEEPS:
            raise UserError(f"{word}: has no meaning beside hydra/sweeper=optuna, whose trials are runs of their own "
                            f"(leave {key} out)")  # fmt: skip
    try:
        swept, fixed = create_params_from_overrides(list(words))
    except (AssertionError, NotImplementedError, ValueError) as error:
        raise UserError(f"hydra/sweeper=optuna: {first_line(error)}") from error
    if not swept:
        raise UserError("hydra/sweeper=optuna: nothing is searched; type a range, as in "
                        "'optimizer.lr=tag(log,interval(1e-4,1e-1))', or choices, as in model=fc,lenet5")  # fmt: skip
    return swept, fixed


def probes(swept: dict[str, Any], fixed: dict[str, Any]) -> Iterator[list[str]]:
    """Overrides of runs that have between them every choice, and both ends of every range."""
    values = {key: list(getattr(found, "choices", None) or (found.low, found.high)) for key, found in swept.items()}
    for index in range(max(map(len, values.values()))):
        chosen = {key: own[min(index, len(own) - 1)] for key, own in values.items()}
        yield [f"{key}={value}" for key, value in {**chosen, **fixed}.items()]


def monitor_of(runs: Iterator[list[str]], composer: Composer, elsewhere: bool) -> Monitor:
    """The monitor that all runs share; elsewhere: their devices are not this machine's.

    Raises UserError for a run that cannot be used, for one that watches no validation metric, and where they differ.
    """
    configs: dict[str, DictConfig] = {}
    for overrides in runs:
        config = composer.compose(overrides)
        parts = [OmegaConf.to_container(config[key], resolve=True) for key in ("dataset", "loss", "monitor")]
        configs.setdefault(digest(parts), config)
    found: Monitor | None = None
    for config in configs.values():
        config.plots, config.device = "none", "cpu" if elsewhere else config.device
        monitor = watched(prepare(config).monitor, config)
        if found is not None and (monitor.metric, monitor.mode) != (found.metric, found.mode):
            raise UserError(f"hydra/sweeper=optuna: some trials would watch {found.metric} ({found.mode}) and others "
                            f"{monitor.metric} ({monitor.mode}), which do not compare; set monitor.metric")  # fmt: skip
        found = monitor
    assert found is not None
    return found


def watched(monitor: Monitor | None, config: DictConfig) -> Monitor:
    if monitor is None:
        raise UserError(f"hydra/sweeper=optuna chooses on a validation split, and there is none; set dataset.val_size "
                        f"(now {config.dataset.get('val_size')})")  # fmt: skip
    if not monitor.metric.startswith("val/"):
        raise UserError(f"monitor.metric={monitor.metric}: hydra/sweeper=optuna chooses on a validation split; watch "
                        f"val/{monitor.metric.partition('/')[2]}")  # fmt: skip
    return monitor


def direction(asked: Any, monitor: Monitor) -> str:
    """The monitor's own; one that is typed may only say the same."""
    wanted, name = DIRECTIONS[monitor.mode], str(getattr(asked, "name", asked))
    if name not in ("auto", *DIRECTIONS.values()):
        raise UserError(f"hydra.sweeper.direction={name}: is one of auto, {', '.join(DIRECTIONS.values())}")
    if name not in ("auto", wanted):
        raise UserError(f"hydra.sweeper.direction={name}: {monitor.metric} is to be {wanted}d (monitor.mode is "
                        f"{monitor.mode}); leave the direction out")  # fmt: skip
    return wanted


def sampler(settings: dict[str, Any], config: DictConfig) -> Any:
    """Seeded by the run's own `seed` unless it has one of its own: the same line tries the same values."""
    node = config.hydra.sweeper.sampler
    if isinstance(settings["sampler"], partial) or "seed" not in node or node.seed is not None:
        return settings["sampler"]
    return instantiate(node, seed=config.seed)


def side_by_side(config: DictConfig, folder: Path, trials: int) -> DictConfig:
    """The config for the launcher: so many trials are trained at once, in `folder`/0, 1, …"""
    config = config.copy()
    OmegaConf.set_readonly(config.hydra, False)  # as Hydra 1.4 has it
    config.hydra.sweep.dir, config.hydra.sweep.subdir = str(folder), "${hydra.job.num}"
    if kind(config) == "joblib":
        told = int(config.hydra.launcher.n_jobs)
        config.hydra.launcher.n_jobs = min(told, trials) if told > 0 else trials
    return config


def unused(folder: Path) -> Path:
    if any(folder.glob("*/status.json")):
        raise UserError(f"hydra.sweep.dir={folder}: holds runs already; name another folder")
    return folder


def carry_out(search: Any, trials: Trials, arguments: Sequence[str]) -> None:
    """Raises RunFailed where no trial finishes."""
    try:
        search.sweep(list(arguments))
    except ValueError:  # optuna's, where there is no best trial
        if trials.finished:
            raise
    except RuntimeError as error:  # the plugin's slip where the last trial of a grid fails
        if "Study.stop" not in str(error):
            raise
    if not trials.finished:
        raise RunFailed(f"no trial finished: {trials.first_error}; see {trials.folder}")


def tell(trials: Trials, monitor: Monitor) -> None:
    """The end of the study; failed trials are no failure of it."""
    value, chosen = (max if monitor.mode == "max" else min)(trials.found, key=lambda found: found[0])
    best = {"name": "optuna", "best_params": chosen, "best_value": value}  # as the plugin has it
    write_text(trials.folder / "optimization_results.yaml", yaml.safe_dump(best, sort_keys=False))
    log.info("%d of %d trials finished: %s", trials.finished, trials.begun, trials.folder)
    words = " ".join(f"{key}={tried}" for key, tried in chosen.items())
    log.info("best %s %.4g with %s", monitor.metric, value, words)
