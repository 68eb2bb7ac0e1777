"""`hydra/sweeper=optuna`: hydra-optuna-sweeper, with what it optimises settled and checked before the first trial.

Stored over the plugin's own option where the plugin is installed, and nothing at all where it is not.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


def take_its_place() -> None:
    """Store our option over the plugin's, if that is there; again when Hydra has loaded all plugins."""
    if "optuna.yaml" in ConfigStore.instance().list("hydra/sweeper"):
        ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=DlhwOptunaConf, provider="dlhw")


with suppress(ImportError):
    from hydra_plugins.hydra_optuna_sweeper.config import OptunaSweeperConf  # which does not import optuna

    @dataclass
    class DlhwOptunaConf(OptunaSweeperConf):  # type: ignore[misc]
        _target_: str = "hydra_plugins.dlhw_optuna.DlhwOptuna"
        direction: Any = "auto"  # as monitor.mode has it
        max_failure_rate: float = 1.0  # of a batch; a trial that fails does not end the study

    take_its_place()


class DlhwOptuna(Sweeper):
    """settings: those of the plugin's sweeper."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context, self.task_function, self.config = hydra_context, task_function, config.copy()
        HydraConfig.instance().set_config(config)  # by which the sweep's name and folder are resolved

    def sweep(self, arguments: list[str]) -> None:
        """Raises UserError before the first trial, RunFailed where no trial has finished."""
        from dlhw.sweep.optimise import optimise

        optimise(self.settings, arguments, self.config, self.context, self.task_function)
