"""What every task offers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from dlhw.metrics import Metrics

SAMPLES = 32  # images in a grid


class Split(Protocol):
    """What a task needs of a split; see dataset/batches.py."""

    @property
    def targets(self) -> Tensor: ...
    def __len__(self) -> int: ...
    def batches(
        self, batch_size: int, shuffle: torch.Generator | None = None, augment: torch.Generator | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]: ...
    def raw(self, indices: list[int]) -> np.ndarray: ...


class Task(ABC):
    """Made for one run, from its data set (which states classes and shapes) and its loss (which may decode outputs)."""

    metric_names: tuple[str, ...]  # the columns of a row, "loss" first; the second is the one that is monitored
    essence: str  # the metric that is told at the end

    def __init__(self, dataset: Any, loss_fn: nn.Module) -> None:
        self.dataset = dataset
        self.loss_fn = loss_fn

    @abstractmethod
    def output_shape(self) -> tuple[int, ...]:
        """The shape of one sample's raw outputs."""

    @abstractmethod
    def metrics(self, device: torch.device) -> Metrics:
        """A new accumulator of the metrics of a row."""

    def kept(self, outputs: Tensor) -> Tensor:
        """What to keep of a batch's raw outputs for the final figures and pictures."""
        return outputs

    @abstractmethod
    def figures(self, kept: Tensor, split: Split) -> dict[str, Any]:
        """Final figures beside the metrics of a row, of the first len(kept) samples of the split."""

    @abstractmethod
    def baselines(self, train: Split, test: Split) -> dict[str, dict[str, float]]:
        """What trivial answers score on the test split."""

    @abstractmethod
    def arrays(self, kept: Tensor, split: Split, model: nn.Module) -> dict[str, np.ndarray]:
        """What the task's pictures need."""


def spread(count: int, most: int = SAMPLES) -> list[int]:
    """Positions spread evenly over `count` samples: the same for every run, whatever their order in the files."""
    return [round(position) for position in np.linspace(0, count - 1, min(most, count))]


def host(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
