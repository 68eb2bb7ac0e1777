"""What each task asks of a run: metrics, final figures, trivial baselines, and the arrays that its pictures need.

A data set states its task by name; trainer and run follow the object that stands here for it, and never ask which.
"""

from dlhw.tasks.classification import Classification
from dlhw.tasks.regression import Regression
from dlhw.tasks.restoration import Restoration
from dlhw.tasks.segmentation import Segmentation
from dlhw.tasks.sequence import Sequence
from dlhw.tasks.task import Task

TASKS: dict[str, type[Task]] = {
    "classification": Classification,
    "segmentation": Segmentation,
    "regression": Regression,
    "sequence": Sequence,
    "restoration": Restoration,
}

__all__ = ["TASKS", "Task"]
