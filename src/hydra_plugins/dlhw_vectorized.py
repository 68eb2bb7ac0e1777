"""`hydra/launcher=vectorized`: runs of a sweep or a study that differ in numbers alone train as lanes of one program.

What fits no group trains as by joblib. Hydra finds plugins by importing every module here; see dlhw_sweeper.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


@dataclass
class VectorizedConf:
    _target_: str = "hydra_plugins.dlhw_vectorized.VectorizedLauncher"
    max_lanes: int | None = None  # of a group; null: as many as memory holds


class VectorizedLauncher(Launcher):
    """max_lanes: at most so many runs in a group."""

    def __init__(self, max_lanes: int | None = None) -> None:
        self.max_lanes = max_lanes

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """job_overrides: of each run the folder of its config, as dlhw's sweeper has them. The runs' files tell all."""
        from dlhw.lanes.launch import train_planned

        folders = [Path(folder) for (folder,) in job_overrides]
        train_planned(folders, self.max_lanes, self.config.on_error, self.train_alone, self.config.trust)
        return []

    def train_alone(self, folders: Sequence[Path]) -> None:
        """By joblib, as many at once as there are cores, or GPUs."""
        from dlhw.sweep.whole import workers_for
        from hydra_plugins.dlhw_sweeper import DlhwSweeper

        config: Any = self.config.copy()
        OmegaConf.set_readonly(config.hydra, False)  # as Hydra 1.4 has it
        config.hydra.launcher = ConfigStore.instance().load("hydra/launcher/joblib.yaml").node
        sweeper = DlhwSweeper()
        sweeper.setup(hydra_context=self.context, task_function=self.task_function, config=config)
        sweeper.launch(folders, workers_for(config, len(folders)))


ConfigStore.instance().store(group="hydra/launcher", name="vectorized", node=VectorizedConf, provider="dlhw")
