"""XOR: the smallest problem that no single layer can solve."""

from dataclasses import dataclass
from typing import Literal

import torch

from dlhw.dataset.batches import Splits
from dlhw.dataset.checks import check_choice, check_fact
from dlhw.dataset.preprocess import Preprocess
from dlhw.dataset.tensors import Tensors

POINTS = ((0, 0), (0, 1), (1, 0), (1, 1))
TARGETS = ((0,), (1,), (1,), (0,))


@dataclass(kw_only=True)
class XOR:
    """Four points of the unit square, and 1 where their coordinates differ. The same four are the test: all there is.

    Inputs (4, 2) and targets (4, 1), both float.
    """

    task: Literal["regression"] = "regression"
    in_features: int
    out_features: int
    classes: list[str] | None = None  # none: the target is a value
    val_size: int = 0  # nothing is left to validate on

    def __post_init__(self) -> None:
        """Raises ValueError, one line that begins with key=value."""
        check_choice("task", self.task, ("regression",))
        check_fact("in_features", self.in_features, 2, "XOR has 2, the coordinates of a point")
        check_fact("out_features", self.out_features, 1, "XOR has 1, a value from 0 to 1")
        check_fact("classes", self.classes, None, "XOR's target is a value; expected null")
        check_fact("val_size", self.val_size, 0, "XOR has four points and no others to validate on; expected 0")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one sample: (2,)."""
        return (2,)

    def load(self, device: torch.device, dtype: torch.dtype = torch.float32, channels_last: bool = False) -> Splits:
        """The four points, twice."""
        points = torch.tensor(POINTS, dtype=dtype, device=device)
        split = Tensors(points, torch.tensor(TARGETS, dtype=dtype, device=device))
        return Splits(split, None, split, Preprocess(dtype=dtype), None)
