"""dlhw's sweeper: Hydra's own grammar and launchers, with runs that are planned before the first starts.

Hydra finds plugins by importing every module here, so the imports that cost wait until a sweep begins.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


@dataclass
class DlhwSweeperConf:
    _target_: str = "hydra_plugins.dlhw_sweeper.DlhwSweeper"
    params: dict[str, str] | None = None


class DlhwSweeper(Sweeper):
    """Every combination of the values typed, or the run list of a study. params: as Hydra's own sweepers have them."""

    def __init__(self, params: dict[str, str] | None = None) -> None:
        self.params = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context, self.task_function, self.config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        """Plan, train what is missing, report. Raises SystemExit(1) if a run failed."""
        from dlhw.sweep.grammar import plan_of
        from dlhw.sweep.whole import run_whole

        params = [f"{key}={value}" for key, value in self.params.items()]
        plan = plan_of([*params, *arguments], self.config, self.context)
        run_whole(plan, self.config, self.launch)

    def launch(self, folders: Sequence[Path], workers: int) -> None:
        """Have Hydra's launcher train the planned runs, each by the config that lies in its folder."""
        from dlhw.sweep.launchers import kind, submit, train_in_workers

        config = self.config.copy()
        OmegaConf.set_readonly(config.hydra, False)  # as Hydra 1.4 has it
        config.hydra.sweep.dir = str(folders[0].parent)
        launches = kind(config)
        side_by_side = 1 if launches == "submitit_slurm" else workers  # Slurm gives each run cores of its own
        context = HydraContext(
            config_loader=PlannedRuns(side_by_side, launches == "joblib"), callbacks=self.context.callbacks
        )

        def launcher(**settings: Any) -> Any:
            config.hydra.launcher.update(settings)
            return Plugins.instance().instantiate_launcher(
                hydra_context=context, task_function=self.task_function, config=config
            )

        def train(folders: Sequence[Path], workers: int) -> None:
            launcher(n_jobs=workers).launch(words_of(folders), initial_job_idx=0)

        if launches == "joblib":
            train_in_workers(train, folders, workers, config.on_error)
        elif launches.startswith("submitit_"):
            submit(launcher(), words_of(folders), 0, folders, workers)
        else:
            launcher().launch(words_of(folders), initial_job_idx=0)


def words_of(folders: Sequence[Path]) -> list[list[str]]:
    """The overrides of each run, as PlannedRuns has them."""
    return [[str(folder)] for folder in folders]


class PlannedRuns:
    """In place of Hydra's config loader: a job's only override is the folder where its composed config lies.

    Composing each job anew, as Hydra's launchers do, would cost 135 ms and read YAML files that may have changed.
    """

    def __init__(self, workers: int, in_workers: bool) -> None:
        """workers: runs that train at once. in_workers: in child processes of this one, which end with it."""
        self.parent = os.getpid() if in_workers else None
        self.workers = workers

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        from omegaconf import open_dict

        config = master_config.copy()
        with open_dict(config):
            for key in [key for key in config if key not in ("hydra", "on_error", "trust")]:
                del config[key]
            config.parent, config.workers = self.parent, self.workers
            config.hydra.sweep.subdir = Path(sweep_overrides[0]).name
            config.hydra.output_subdir = None  # the folder has its .hydra already
            config.hydra.overrides.task = []
        return config


ConfigStore.instance().store(group="hydra/sweeper", name="dlhw", node=DlhwSweeperConf, provider="dlhw")
