"""Windows of a sine: given some values in a row, which is the next one?"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlhw.dataset.batches import Splits
from dlhw.dataset.checks import check_choice, check_count, check_fact, check_number
from dlhw.dataset.preprocess import Preprocess
from dlhw.dataset.split import check_size
from dlhw.dataset.tensors import Tensors
from dlhw.errors import UserError


class Windows(Tensors):
    """Every window of one stretch of the sequence, and the value that follows each.

    Inputs (N, window, 1), targets (N, 1). A guess that nothing changes (persistence) is `inputs[:, -1]`.
    """

    def __init__(self, values: Tensor, clean: Tensor, window: int) -> None:
        """(window + N,) values of the stretch, as observed and without noise."""
        self.values, self.clean, self.window = values, clean, window
        super().__init__(values[:-1].unfold(0, window, 1).unsqueeze(2).contiguous(), values[window:, None].contiguous())

    def sequence(self) -> tuple[Tensor, Tensor]:
        """The stretch itself: (window + N,) values as observed, and without noise.

        Target i is value window + i; a free-running continuation starts from the first `window` values.
        """
        return self.values, self.clean


@dataclass(kw_only=True)
class Sine:
    """One noisy sine, cut into three stretches in a row: train, val, test. No window reaches over a border.

    Sizes are numbers of windows (a number below 1: that fraction of length); a stretch has `window` values more. The
    test lies at the end, val before it, train before val; train_size null: all that is left.
    """

    task: Literal["sequence"] = "sequence"
    length: int  # values in all
    period: float  # values in a period; a fraction keeps later periods from repeating the first one's values
    noise: float  # standard deviation; the sine's own amplitude is 1
    window: int  # values that the model sees
    in_features: int  # of one step
    out_features: int
    classes: list[str] | None = None  # none: the target is a value
    seed: int  # of the noise
    train_size: int | float | None = None
    val_size: int | float
    test_size: int | float

    def __post_init__(self) -> None:
        """Raises ValueError, one line that begins with key=value."""
        check_choice("task", self.task, ("sequence",))
        check_count("length", self.length, 1)
        check_number("period", self.period, 2, math.inf)
        check_number("noise", self.noise, 0, math.inf)
        check_count("window", self.window, 1)
        check_fact("in_features", self.in_features, 1, "Sine has 1, a step's value")
        check_fact("out_features", self.out_features, 1, "Sine has 1, the next value")
        check_fact("classes", self.classes, None, "Sine's target is a value; expected null")
        check_count("seed", self.seed, 0)
        for key in ("train_size", "val_size", "test_size"):
            check_size(key, getattr(self, key))
        if self.test_size is None:
            raise ValueError("test_size=None: expected a count or a fraction")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one sample: (window, 1)."""
        return (self.window, 1)

    def load(self, device: torch.device, dtype: torch.dtype = torch.float32, channels_last: bool = False) -> Splits:
        """Raises UserError where the sequence is too short for the sizes."""
        clean: NDArray[Any] = np.sin(np.arange(self.length) * (2 * math.pi / self.period))
        noise = np.random.default_rng(self.seed).standard_normal(self.length)
        values = clean + self.noise * noise
        parts: dict[str, Windows | None] = {"val": None}
        end = self.length
        for name in ("test", "val", "train"):
            count = self._windows(f"{name}_size", end)
            if count:
                start = end - count - self.window
                observed, true = (torch.from_numpy(part[start:end]).to(dtype).to(device) for part in (values, clean))
                parts[name] = Windows(observed, true, self.window)
                end = start
        train, val, test = parts["train"], parts["val"], parts["test"]
        assert train is not None
        assert test is not None
        return Splits(train, val, test, Preprocess(dtype=dtype), None)

    def _windows(self, key: str, end: int) -> int:
        """How many windows a split has, of the `end` values that those after it have left."""
        size = getattr(self, key)
        left = max(0, end - self.window)
        if size is None:
            size = left
        count = math.floor(size * self.length + 0.5) if 0 < size < 1 else int(size)
        if count > left:
            raise UserError(
                f"dataset.{key}={size}: is {count} windows, more than the {left} of {self.window} that are left; "
                f"raise dataset.length={self.length}"
            )
        if count == 0 and key != "val_size":
            raise UserError(
                f"dataset.{key}={getattr(self, key)}: leaves no window of {self.window} values; "
                f"raise dataset.length={self.length}"
            )
        return count
