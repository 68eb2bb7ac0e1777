"""The loop of trainer.py for many trainers at once: a step, a pass, an evaluation of all; one fetch each time."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dlhw.lanes.batches import evaluation_batches, training_batches
from dlhw.lanes.measured import Measured
from dlhw.lanes.program import Batch, Program
from dlhw.passes import Steps, figures_of
from dlhw.trainer import Split, Trainer, grouped


class Passes(NamedTuple):
    """What the host knows of passes over the training splits, lane by lane."""

    losses: list[list[float]]  # of each step
    figures: list[dict[str, float]]  # metrics of the last pass
    sizes: list[int]  # samples of each step, the same in every lane
    last_pass: int  # where the last pass begins among the steps


class Loop:
    """Trainers that stand at the same step of equally long epochs, in step. generators: of each one's dropout."""

    def __init__(
        self, trainers: Sequence[Trainer], generators: Sequence[torch.Generator], cuda_graph: bool = True
    ) -> None:
        self.trainers = trainers
        self.program = Program(trainers, generators, cuda_graph)

    def train_epochs(self, count: int) -> Passes:
        """`count` passes of each trainer over its own training split; see Trainer.train_epochs."""
        losses: list[Tensor] = []
        sizes: list[int] = []
        for trainer in self.trainers:
            trainer.steps = Steps(trainer.step + 1, [], [], [])
        for _ in range(count):
            measured, last_pass = Measured(self.trainers), len(losses)
            for batches in grouped(training_batches(self.trainers), self.trainers[0].accumulate_steps):
                sizes.append(sum(targets.shape[1] for _, targets in batches))
                losses.append(self.train_step(batches, measured))
            for trainer in self.trainers:
                trainer.end_pass(len(losses) - last_pass)
        self.program.give_back()
        return Passes(*measured.fetch(losses), sizes, last_pass)

    def train_step(self, batches: Sequence[Batch], measured: Measured) -> Tensor:
        """One update of each lane from its own part of the batches; returns the losses (L,)."""
        for trainer in self.trainers:
            trainer.steps.lr.append(trainer.optimizer.param_groups[0]["lr"])
        losses, outputs = self.program.train_step(batches)
        for (_, targets), found in zip(batches, outputs, strict=True):
            measured.update(found, targets)
        for trainer in self.trainers:
            trainer.schedule.after_step()
        return losses

    def evaluate(self, splits: Sequence[Split], name: str) -> list[dict[str, float]]:
        """Each lane's loss and metrics over its split; see Trainer.evaluate."""
        measured = Measured(self.trainers)
        losses: list[Tensor] = []
        sizes: list[int] = []
        for inputs, targets in evaluation_batches(self.trainers, splits):
            found, outputs = self.program.evaluate((inputs, targets))
            losses.append(found)
            sizes.append(targets.shape[1])
            measured.update(outputs, targets)
        fetched = zip(*measured.fetch(losses), strict=True)
        return [figures_of(name, own, sizes, figures) for own, figures in fetched]
