"""The training loop: `fit` yields a row an epoch, the caller does the rest. It knows no Hydra, no files, no plots."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dlhw.errors import RunFailed


class Split(Protocol):
    """One split of a data set, in batches on the device; see dataset/batches.py."""

    def __len__(self) -> int: ...

    def batches(
        self, batch_size: int, shuffle: torch.Generator | None = None, augment: torch.Generator | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]: ...


class Schedule(Protocol):
    """When the learning rate changes; see scheduler/schedule.py."""

    scheduler: Any

    @property
    def every_step(self) -> bool: ...
    def after_epoch(self, row: dict[str, float]) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Metrics(Protocol):
    """Accumulates on the device; see metrics.py. `compute` gives pairs: a sum, and the count that divides it."""

    def update(self, outputs: Tensor, targets: Tensor) -> None: ...
    def compute(self) -> dict[str, Tensor]: ...


@dataclass
class Steps:
    """Every step of one epoch: the number of the first (from 1 over the whole run), learning rates and losses."""

    epoch: int
    first: int
    lr: list[float]
    loss: list[float]


@dataclass
class Trainer:
    """All that changes while a net trains, and the loop that changes it.

    Everything random in it comes from `shuffle` and `augment` (CPU generators) and, for dropout, from torch's global
    generators, so `state_dict` taken between two epochs is enough to go on bit for bit.
    """

    model: nn.Module
    loss_fn: nn.Module
    optimizer: Optimizer
    schedule: Schedule
    metrics: Callable[[], Metrics]
    train: Split
    val: Split | None
    shuffle: torch.Generator
    augment: torch.Generator
    batch_size: int
    eval_batch_size: int
    device: torch.device
    bf16: bool = False
    clip_grad_norm: float | None = None
    accumulate_steps: int = 1
    limit_batches: int | None = None
    epoch: int = 0  # epochs and steps done
    step: int = 0
    seconds: float = 0.0  # of all training passes
    steps: Steps = field(default_factory=lambda: Steps(0, 1, [], []))  # the last epoch's

    def fit(self, epochs: int) -> Iterator[dict[str, float]]:
        """Train up to `epochs` in all, yielding a row each. Raises RunFailed at a loss that is not finite.

        seconds and samples_per_second are those of the training pass.
        """
        while self.epoch < epochs:
            start = time.perf_counter()
            train = self.train_epoch()
            seconds = time.perf_counter() - start
            self.seconds += seconds
            val = {} if self.val is None else self.evaluate(self.val, "val")
            row = {"epoch": self.epoch, "step": self.step, "lr": self.steps.lr[-1], **train, **val}
            self.schedule.after_epoch(row)
            yield {**row, "seconds": seconds, "samples_per_second": self.samples / seconds}

    def train_epoch(self) -> dict[str, float]:
        """One pass over the training split; loss and metrics are the pass's own, each batch before its step.

        Nothing in the loop waits for the device: the losses stay there until the one fetch at the end.
        """
        self.model.train()
        metrics = self.metrics()
        losses: list[Tensor] = []
        sizes: list[int] = []
        lrs: list[float] = []
        batches = islice(self.train.batches(self.batch_size, self.shuffle, self.augment), self.limit_batches)
        for group in grouped(batches, self.accumulate_steps):
            total = self.backward(group, metrics)
            if self.clip_grad_norm is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_grad_norm)
            self.optimizer.step()
            self.optimizer.zero_grad()
            losses.append(total)
            sizes.append(sum(len(targets) for _, targets in group))
            lrs.append(self.optimizer.param_groups[0]["lr"])
            if self.schedule.every_step:
                self.schedule.scheduler.step()
        row, step_losses = fetch("train", losses, sizes, metrics.compute())
        self.samples = sum(sizes)
        self.steps = Steps(self.epoch + 1, self.step + 1, lrs, step_losses)
        self.check_finite()
        self.epoch += 1
        self.step += len(lrs)
        return row

    def backward(self, group: list[tuple[Tensor, Tensor]], metrics: Metrics) -> Tensor:
        """Add the gradient of the group's mean loss over its samples; returns that loss, detached."""
        size = sum(len(targets) for _, targets in group)
        total: Tensor | None = None
        for inputs, targets in group:
            with self.autocast():
                outputs = self.model(inputs)
                loss = self.loss_fn(outputs, targets)
            if len(group) > 1:
                loss = loss * (len(targets) / size)  # a short last batch weighs less
            loss.backward()
            metrics.update(outputs.detach(), targets)
            total = loss.detach() if total is None else total + loss.detach()
        assert total is not None  # grouped() yields no empty group
        return total

    @torch.no_grad()
    def evaluate(self, split: Split, name: str, keep: list[Tensor] | None = None) -> dict[str, float]:
        """Loss and metrics over a split, in large batches; each batch's outputs are appended to `keep`."""
        self.model.eval()
        metrics = self.metrics()
        losses: list[Tensor] = []
        sizes: list[int] = []
        for inputs, targets in islice(split.batches(self.eval_batch_size), self.limit_batches):
            with self.autocast():
                outputs = self.model(inputs)
                losses.append(self.loss_fn(outputs, targets))
            sizes.append(len(targets))
            metrics.update(outputs, targets)
            if keep is not None:
                keep.append(outputs)
        return fetch(name, losses, sizes, metrics.compute())[0]

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def check_finite(self) -> None:
        """Raise RunFailed at the epoch's first loss that is NaN or infinite."""
        for index, (lr, loss) in enumerate(zip(self.steps.lr, self.steps.loss, strict=True)):
            if not math.isfinite(loss):
                where = f"epoch {self.steps.epoch}, step {self.steps.first + index}"
                before = f" ({self.steps.loss[0]:.4g} at the epoch's first step)" if index else ""
                raise RunFailed(
                    f"{where}: the training loss is {loss}{before}; the likely cause is a learning rate too high for "
                    f"this net (lr={lr:.4g}): try a tenth of it, batch norm, or clip_grad_norm=1"
                )

    def state_dict(self) -> dict[str, Any]:
        """All that the next epoch depends on, beside the config; plain types and tensors."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
            "shuffle": self.shuffle.get_state(),
            "augment": self.augment.get_state(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.epoch, self.step, self.seconds = state["epoch"], state["step"], state["seconds"]
        self.shuffle.set_state(state["shuffle"])
        self.augment.set_state(state["augment"])
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_rng"], self.device)


def grouped(batches: Iterator[tuple[Tensor, Tensor]], size: int) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """The batches of each step: `size` of them, fewer in the last."""
    while group := list(islice(batches, size)):
        yield group


def fetch(
    name: str, losses: list[Tensor], sizes: list[int], metrics: dict[str, Tensor]
) -> tuple[dict[str, float], list[float]]:
    """Bring an epoch's losses and metrics to the host in one transfer: the row, and each step's loss.

    The row's loss is the mean over samples. A metric comes as a pair, a sum and its count, divided on the host.
    """
    wide = torch.float32 if losses[0].device.type == "mps" else torch.float64  # Metal has no float64
    host = torch.cat([torch.stack(losses).to(wide), *(pair.to(wide) for pair in metrics.values())]).tolist()
    step_losses, pairs = host[: len(losses)], host[len(losses) :]
    loss = math.fsum(x * n for x, n in zip(step_losses, sizes, strict=True)) / sum(sizes)
    figures = {metric: pairs[2 * i] / pairs[2 * i + 1] for i, metric in enumerate(metrics)}
    return {f"{name}/{key}": value for key, value in {"loss": loss, **figures}.items()}, step_losses
