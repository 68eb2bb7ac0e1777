"""What is known of passes over a split: of each step, and what a row is made of."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from dlhw.distributed.ranks import Ranks
from dlhw.metrics import Metrics


@dataclass
class Steps:
    """The steps since the last row: number of the first (from 1 over the whole run); each one's epoch, lr and loss."""

    first: int
    epoch: list[int]
    lr: list[float]
    loss: list[float]


@dataclass
class Passes:
    """The passes over the training split since the last row, the last of which may be under way."""

    metrics: Metrics  # of the last pass
    losses: list[Tensor] = field(default_factory=list)  # of each step, on the device
    sizes: list[int] = field(default_factory=list)  # samples of each step
    begin: int = 0  # steps before the last pass
    order: tuple[Tensor, Tensor] | None = None  # the states of shuffle and augment before the pass under way, if one is
    seconds: float = 0.0  # spent on them by a process that did not come to their end

    def state_dict(self, steps: Steps, ranks: Ranks, seconds: float) -> dict[str, Any]:
        """Plain types and tensors; sums of all ranks. steps: as yet without losses."""
        return {
            "first": steps.first,
            "epoch": steps.epoch,
            "lr": steps.lr,
            "losses": ranks.sum(torch.stack(self.losses)),
            "sizes": self.sizes,
            "begin": self.begin,
            "metrics": ranks.sum(self.metrics.state().clone()),
            "under_way": self.order is not None,
            "seconds": seconds,
        }

    def load_state_dict(self, state: dict[str, Any], ranks: Ranks, device: torch.device) -> Steps:
        """Of what all ranks had summed the first one takes all, and the others nothing. Returns the steps."""
        losses = state["losses"].to(device)
        self.losses = list(losses if ranks.rank == 0 else torch.zeros_like(losses))
        if ranks.rank == 0:
            self.metrics.load_state(state["metrics"].to(device))
        self.sizes, self.begin, self.seconds = state["sizes"], state["begin"], state["seconds"]
        if not state["under_way"]:
            self.order = None
        return Steps(state["first"], state["epoch"], state["lr"], [])


def steps_of(samples: int, batch_size: int, limit_batches: int | None, accumulate_steps: int) -> int:
    """Of one pass over so many samples."""
    batches = -(-samples // batch_size)
    return -(-min(batches, limit_batches or batches) // accumulate_steps)


def fetch(losses: list[Tensor], metrics: Metrics, ranks: Ranks) -> tuple[list[float], list[float]]:
    """Bring the losses and the metrics' state, of all ranks, to the host in one transfer."""
    wide = torch.float32 if losses[0].device.type == "mps" else torch.float64  # Metal has no float64
    values = torch.cat([torch.stack(losses).to(wide) / ranks.world_size, metrics.state().to(wide)])
    fetched = ranks.sum(values).tolist()
    return fetched[: len(losses)], fetched[len(losses) :]


def figures_of(name: str, losses: list[float], sizes: list[int], figures: dict[str, float]) -> dict[str, float]:
    """A split's part of a row; the loss is the mean over samples."""
    loss = math.fsum(x * n for x, n in zip(losses, sizes, strict=True)) / sum(sizes)
    return {f"{name}/{key}": value for key, value in {"loss": loss, **figures}.items()}
