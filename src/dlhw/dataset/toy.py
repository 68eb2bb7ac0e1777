"""The toy problem on which the course notes' two-layer net is tried out: five points, three classes."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch

from dlhw.dataset.batches import Splits
from dlhw.dataset.checks import check_choice, check_fact
from dlhw.dataset.preprocess import Preprocess
from dlhw.dataset.tensors import Tensors

TARGETS = (0, 1, 2, 2, 1)


@dataclass(kw_only=True)
class Toy:
    """Five points of ten times normal noise, with classes that follow no rule: a net can only learn them by heart.

    The numbers are those of CS231n, assignment 1 (two_layer_net.ipynb); whoever has them can compare digits. The same
    points are the test. Inputs (5, 4) float, targets (5,) int64.
    """

    CLASSES: ClassVar[tuple[str, ...]] = ("0", "1", "2")

    task: Literal["classification"] = "classification"
    in_features: int
    num_classes: int
    out_features: int
    classes: list[str]
    val_size: int = 0  # nothing is left to validate on

    def __post_init__(self) -> None:
        """Raises ValueError, one line that begins with key=value."""
        check_choice("task", self.task, ("classification",))
        check_fact("in_features", self.in_features, 4, "Toy has 4")
        check_fact("classes", list(self.classes), list(self.CLASSES), f"Toy has {list(self.CLASSES)}")
        for key in ("num_classes", "out_features"):
            check_fact(key, getattr(self, key), 3, "Toy has 3 classes")
        check_fact("val_size", self.val_size, 0, "Toy has five points and no others to validate on; expected 0")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one sample: (4,)."""
        return (4,)

    def load(self, device: torch.device, dtype: torch.dtype = torch.float32, channels_last: bool = False) -> Splits:
        """The five points, twice."""
        points = 10 * np.random.RandomState(1).randn(5, 4)  # the legacy generator: the notes' numbers
        inputs = torch.from_numpy(points).to(dtype).to(device)
        split = Tensors(inputs, torch.tensor(TARGETS, dtype=torch.int64, device=device))
        return Splits(split, None, split, Preprocess(dtype=dtype), list(self.CLASSES))
