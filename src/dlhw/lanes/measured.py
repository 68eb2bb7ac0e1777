"""The metrics of lanes: several steps' outputs are handed to each lane's own at a time, and all are fetched at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dlhw.metrics import ConfusionMetrics
from dlhw.trainer import Trainer


class Measured:
    """The losses and metrics of a pass."""

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        self.metrics = [trainer.metrics() for trainer in trainers]
        self._pending: list[tuple[Tensor, Tensor]] = []
        self._values = 0

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """(L, B, ...) each; outputs: raw and detached."""
        self._pending.append((outputs, targets))
        self._values += outputs[0].numel()
        if self._values >= ConfusionMetrics.PENDING_VALUES:  # which reduces that many at once
            self._hand_over()

    def _hand_over(self) -> None:
        if self._pending:
            outputs, targets = (torch.cat(steps, dim=1) for steps in zip(*self._pending, strict=True))
            for metrics, *own in zip(self.metrics, outputs, targets, strict=True):
                metrics.update(*own)
            self._pending.clear()
            self._values = 0

    def fetch(self, losses: Sequence[Tensor]) -> tuple[list[list[float]], list[dict[str, float]]]:
        """Each lane's losses and figures, all of them in one transfer to the host. losses: (L,) of each step."""
        self._hand_over()
        by_lane = torch.stack(list(losses), dim=1).double()
        states = torch.stack([metrics.state().double() for metrics in self.metrics])
        values = torch.cat([by_lane, states], dim=1).tolist()
        figures = [metrics.figures(lane[len(losses) :]) for metrics, lane in zip(self.metrics, values, strict=True)]
        return [lane[: len(losses)] for lane in values], figures
