"""The training loop: `fit` yields a row an epoch, the caller does the rest. It knows no Hydra, no files, no plots."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dlhw.distributed.ranks import ALONE, Batch, Ranks
from dlhw.errors import RunFailed
from dlhw.fused_step import PlainStep, step_of
from dlhw.memory import in_parts
from dlhw.metrics import Metrics
from dlhw.passes import Passes, Steps, fetch, figures_of, steps_of


class Split(Protocol):
    """One split of a data set, in batches on the device; see dataset/batches.py."""

    def __len__(self) -> int: ...

    def batches(
        self, batch_size: int, shuffle: torch.Generator | None = None, augment: torch.Generator | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]: ...


class Schedule(Protocol):
    """When the learning rate changes; see scheduler/schedule.py."""

    def after_step(self) -> None: ...
    def after_epoch(self) -> None: ...
    def after_row(self, row: dict[str, float]) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


B = TypeVar("B")
Forward = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # inputs, targets to raw outputs, loss


@dataclass
class Trainer:
    """All that changes while a net trains, and the loop that changes it.

    Everything random in it comes from `shuffle` and `augment` (CPU generators) and, for dropout, from torch's global
    generators, so `state_dict` taken between two steps is enough to go on bit for bit.
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
    eval_at_once: int | None = None  # samples of such a batch that memory has held
    bf16: bool = False
    clip_grad_norm: float | None = None
    accumulate_steps: int = 1
    limit_batches: int | None = None
    compiled_forward: Forward | None = None  # in place of `forward` for full batches of training; see capture/
    graphed_step: Forward | None = None  # in place of a whole step on a full batch; see capture/
    loss_below: float | None = None  # report the first step whose loss is below it
    after_step: Callable[[], None] | None = None  # called between two steps, where `state_dict` may be taken
    ranks: Ranks = ALONE
    take_step: PlainStep | None = None  # of the optimizer
    replica: nn.Module | None = None  # the model as the ranks train it together
    epoch: int = 0  # epochs and steps done
    step: int = 0
    seconds: float = 0.0  # of all training passes
    first_below: int | None = None  # that step
    steps: Steps = field(default_factory=lambda: Steps(1, [], [], []))
    passes: Passes | None = None  # None where a row has just been made
    began: float = 0.0  # on the clock, as if one process had made them

    def fit(self, epochs: int, every: int = 1) -> Iterator[dict[str, float]]:
        """Train up to `epochs` in all, yielding a row at every epoch that `every` divides, and at the last.

        Raises RunFailed at a loss that is not finite. seconds and samples_per_second are those of the training passes.
        """
        self.replica = self.ranks.parallel(self.model)
        while self.epoch < epochs:
            self.began = time.perf_counter() - (self.passes.seconds if self.passes else 0.0)
            train = self.train_epochs(min(every - self.epoch % every, epochs - self.epoch))
            yield self.row(train, time.perf_counter() - self.began)

    def row(self, train: dict[str, float], seconds: float, val: dict[str, float] | None = None) -> dict[str, float]:
        """The row of training passes that took so long: validates, unless that is done, and tells the schedule."""
        self.seconds += seconds
        if val is None:
            val = {} if self.val is None else self.evaluate(self.val, "val")
        row = {"epoch": self.epoch, "step": self.step, "lr": self.steps.lr[-1], **train, **val}
        self.schedule.after_row(row)
        return {**row, "seconds": seconds, "samples_per_second": self.samples / seconds}

    def part(self) -> None:
        """Go on alone: training is over, and what is left is the first rank's."""
        self.replica = None  # which holds on to the group
        self.ranks = self.ranks.parted()

    def train_epochs(self, count: int) -> dict[str, float]:
        """`count` passes over the training split. The row is of the last pass: each batch as it was before its step.

        A pass that a resumed run finds under way is the first of them, and only its rest is trained. Nothing in the
        loops waits for the device: the losses stay there until the one fetch at the end.
        """
        self.model.train()
        if self.passes is None:
            self.passes, self.steps = Passes(self.metrics()), Steps(self.step + 1, [], [], [])
        passes = self.passes
        try:
            self.train_passes(passes, count)
        finally:
            self.passes = None
        self.ranks.share_buffers(self.model)
        self.steps.loss, state = fetch(passes.losses, passes.metrics, self.ranks)
        return self.figures(passes.sizes, passes.begin, passes.metrics.figures(state))

    def train_passes(self, passes: Passes, count: int) -> None:
        steps = steps_of(len(self.train), self.batch_size, self.limit_batches, self.accumulate_steps)
        for left in reversed(range(count)):
            for group in self.rest_of_pass(passes, steps):
                size = sum(batch.size for batch in group)
                passes.sizes.append(size)
                passes.losses.append(self.train_step(group, size, passes.metrics))
                if self.after_step is not None and len(passes.losses) - passes.begin < steps:
                    self.after_step()
            self.end_pass(len(passes.losses) - passes.begin)
            passes.order = None
            if self.after_step is not None and left:
                self.after_step()

    def rest_of_pass(self, passes: Passes, steps: int) -> Iterator[list[Batch]]:
        """The batches of each step: of a new pass, which has so many, or those that are left of one under way."""
        if passes.order is None:
            passes.begin, passes.metrics = len(passes.losses), self.metrics()
            if steps > 1:  # else it has no middle, and to ask takes 4 us, a tenth of a step of XOR's net
                passes.order = (self.shuffle.get_state(), self.augment.get_state())
        done = self.accumulate_steps * (len(passes.losses) - passes.begin)
        batches = self.batches(self.train, self.batch_size, self.shuffle, self.augment, done=done)
        return grouped(batches, self.accumulate_steps)

    def end_pass(self, steps: int) -> None:
        """Count a pass of so many steps."""
        self.epoch += 1
        self.step += steps
        self.steps.epoch += [self.epoch] * steps
        self.schedule.after_epoch()

    def figures(self, sizes: list[int], last_pass: int, figures: dict[str, float]) -> dict[str, float]:
        """The training part of a row, from the losses in `steps`, of which the last pass begins at `last_pass`."""
        self.samples = sum(sizes)
        self.look_at_losses()
        return figures_of("train", self.steps.loss[last_pass:], sizes[last_pass:], figures)

    def train_step(self, group: list[Batch], size: int, metrics: Metrics) -> Tensor:
        """One update from the batches of a group, `size` samples in all; returns their mean loss, detached."""
        self.steps.lr.append(self.optimizer.param_groups[0]["lr"])
        if self.graphed_step is not None and size == self.batch_size:
            (batch,) = group
            outputs, loss = self.graphed_step(batch.inputs, batch.targets)
            metrics.update(outputs, batch.targets)
        else:
            loss = self.backward(group, size, metrics)
            self.update()
        self.schedule.after_step()
        return loss

    def update(self) -> None:
        """Clip the gradients, step, and drop them."""
        if self.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_grad_norm)
        if self.take_step is None or self.take_step.optimizer is not self.optimizer:
            self.take_step = step_of(self.optimizer)
        self.take_step()

    def backward(self, group: list[Batch], size: int, metrics: Metrics) -> Tensor:
        """Add the gradient of the group's mean loss over its samples; returns that loss, detached."""
        total: Tensor | None = None
        for batch in group:
            with self.ranks.apart(self.replica, batch is not group[-1]):
                outputs, loss = self.forward_of(batch.targets)(batch.inputs, batch.targets)
                weight = batch.weight * (batch.size / size)  # a short last batch weighs less
                if weight != 1:
                    loss = loss * weight
                loss.backward()  # type: ignore[no-untyped-call]
            if batch.weight:
                metrics.update(outputs.detach(), batch.targets)
            total = loss.detach() if total is None else total + loss.detach()
        assert total is not None  # grouped() yields no empty group
        return total

    def forward_of(self, targets: Tensor) -> Forward:
        """What stands for `forward` in training: a compiled one fits full batches alone."""
        full = len(targets) == self.batch_size
        return self.compiled_forward if full and self.compiled_forward is not None else self.forward

    def forward(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The model's raw outputs and their loss."""
        together = self.replica is not None and self.model.training
        with self.autocast():
            outputs = (self.replica if together else self.model)(inputs)  # type: ignore[misc]
            return outputs, self.loss_fn(outputs, targets)

    def forward_in_parts(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """`forward` in evaluation: where memory does not hold the batch, the net takes a part of it after the other."""
        with self.autocast():
            outputs, self.eval_at_once = in_parts(self.model, inputs, self.eval_at_once or self.eval_batch_size)
            return outputs, self.loss_fn(outputs, targets)

    @torch.no_grad()
    def evaluate(self, split: Split, name: str, keep: Callable[[Tensor], None] | None = None) -> dict[str, float]:
        """Loss and metrics over a split, in large batches; each batch's raw outputs are handed to `keep`."""
        self.model.eval()
        metrics = self.metrics()
        losses: list[Tensor] = []
        sizes: list[int] = []
        for inputs, targets, size, weight in self.batches(split, self.eval_batch_size):
            outputs, loss = self.forward_in_parts(inputs, targets)
            losses.append(loss if weight == 1 else loss * weight)
            sizes.append(size)
            if weight:
                metrics.update(outputs, targets)
            if keep is not None:
                keep(outputs)
        batch_losses, state = fetch(losses, metrics, self.ranks)
        return figures_of(name, batch_losses, sizes, metrics.figures(state))

    def batches(self, split: Split, batch_size: int, *generators: torch.Generator, done: int = 0) -> Iterator[Batch]:
        """This rank's part of each, as far as `limit_batches`, but for the first ones that are `done`."""
        summed = getattr(self.loss_fn, "reduction", "mean") == "sum"
        batches = self.ranks.batches(split, batch_size, *generators, summed=summed, done=done)
        return islice(batches, self.limit_batches and self.limit_batches - done)

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def look_at_losses(self) -> None:
        """Raise RunFailed at the first loss that is NaN or infinite; note the first below `loss_below`."""
        for index, loss in enumerate(self.steps.loss):
            if not math.isfinite(loss):
                where = f"epoch {self.steps.epoch[index]}, step {self.steps.first + index}"
                before = f" ({self.steps.loss[0]:.4g} at step {self.steps.first})" if index else ""
                raise RunFailed(
                    f"{where}: the training loss is {loss}{before}; the likely cause is a learning rate too high for "
                    f"this net (lr={self.steps.lr[index]:.4g}): try a tenth of it, batch norm, or clip_grad_norm=1"
                )
            if self.loss_below is not None and self.first_below is None and loss < self.loss_below:
                self.first_below = self.steps.first + index

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, beside the config; plain types and tensors. Of all ranks' sums, the sum.

        step and epoch count whole passes. In the middle of one, shuffle and augment are as it began.
        """
        passes = self.passes
        shuffle, augment = (passes and passes.order) or (self.shuffle.get_state(), self.augment.get_state())
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
            "first_below": self.first_below,
            "shuffle": shuffle,
            "augment": augment,
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            "passes": passes and passes.state_dict(self.steps, self.ranks, time.perf_counter() - self.began),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        for name in ("epoch", "step", "seconds", "first_below"):
            setattr(self, name, state[name])
        self.shuffle.set_state(state["shuffle"])
        self.augment.set_state(state["augment"])
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_rng"], self.device)
        self.passes = None
        if state["passes"]:
            self.passes = Passes(self.metrics(), order=(state["shuffle"], state["augment"]))
            self.steps = self.passes.load_state_dict(state["passes"], self.ranks, self.device)

    @property
    def recorded(self) -> int:
        """Steps up to the last row."""
        return self.step if self.passes is None else self.steps.first - 1

    @property
    def steps_done(self) -> int:
        return self.recorded + (0 if self.passes is None else len(self.passes.losses))


def grouped(batches: Iterator[B], size: int) -> Iterator[list[B]]:
    """The batches of each step: `size` of them, fewer in the last."""
    while group := list(islice(batches, size)):
        yield group
