"""The loop of trainer.py for many trainers at once: a step, a pass, an evaluation of all; one fetch each time."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dlhw.distributed.ranks import Batch
from dlhw.lanes.program import Program
from dlhw.metrics import Metrics
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
            metrics, last_pass = [trainer.metrics() for trainer in self.trainers], len(losses)
            for groups in zip(*map(steps_of_a_pass, self.trainers), strict=True):
                sizes.append(sum(batch.size for batch in groups[0]))
                losses.append(self.train_step(groups, metrics))
            for trainer in self.trainers:
                trainer.end_pass(len(losses) - last_pass)
        self.program.give_back()
        return Passes(*fetch(losses, metrics), sizes, last_pass)

    def train_step(self, groups: Sequence[Sequence[Batch]], metrics: Sequence[Metrics]) -> Tensor:
        """One update of each lane from its own batches; returns the losses (L,)."""
        for trainer in self.trainers:
            trainer.steps.lr.append(trainer.optimizer.param_groups[0]["lr"])
        losses, outputs = self.program.train_step([[batch[:2] for batch in group] for group in groups])
        for lane, group in enumerate(groups):
            for batch, found in zip(group, outputs, strict=True):
                metrics[lane].update(found[lane], batch.targets)
        for trainer in self.trainers:
            trainer.schedule.after_step()
        return losses

    def evaluate(self, splits: Sequence[Split], name: str) -> list[dict[str, float]]:
        """Each lane's loss and metrics over its split; see Trainer.evaluate."""
        metrics = [trainer.metrics() for trainer in self.trainers]
        losses: list[Tensor] = []
        sizes: list[int] = []
        runs = zip(self.trainers, splits, strict=True)
        for batches in zip(*(t.batches(split, t.eval_batch_size) for t, split in runs), strict=True):
            found, outputs = self.program.evaluate([batch[:2] for batch in batches])
            losses.append(found)
            sizes.append(batches[0].size)
            for lane, batch in enumerate(batches):
                metrics[lane].update(outputs[lane], batch.targets)
        fetched = zip(*fetch(losses, metrics), strict=True)
        return [figures_of(name, own, sizes, figures) for own, figures in fetched]


def steps_of_a_pass(trainer: Trainer) -> Iterator[list[Batch]]:
    batches = trainer.batches(trainer.train, trainer.batch_size, trainer.shuffle, trainer.augment)
    return grouped(batches, trainer.accumulate_steps)


def fetch(losses: Sequence[Tensor], metrics: Sequence[Metrics]) -> tuple[list[list[float]], list[dict[str, float]]]:
    """Each lane's losses and metrics, all of them in one transfer to the host. losses: (L,) of each step."""
    by_lane = torch.stack(list(losses), dim=1).double()
    states = torch.stack([metric.state().double() for metric in metrics])
    values = torch.cat([by_lane, states], dim=1).tolist()
    figures = [metric.figures(lane[len(losses) :]) for metric, lane in zip(metrics, values, strict=True)]
    return [lane[: len(losses)] for lane in values], figures
