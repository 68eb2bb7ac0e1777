"""The lanes' batches as one tensor a step: every lane's own samples, in its own order, several steps stacked at once.

What the host does for each lane in each step would soon take longer than the step of all of them on a GPU.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from dlhw.lanes.program import Batch
from dlhw.trainer import Split, Trainer


def training_batches(trainers: Sequence[Trainer]) -> Iterator[Batch]:
    """A pass over the training splits; draws from each trainer's `shuffle` and `augment` as it would alone."""
    first = trainers[0]
    size = first.batch_size * steps_at_once(first, len(trainers))
    chunks = [trainer.train.batches(size, trainer.shuffle, trainer.augment) for trainer in trainers]
    return islice(steps_of(chunks, first.batch_size), first.limit_batches)


def evaluation_batches(trainers: Sequence[Trainer], splits: Sequence[Split]) -> Iterator[Batch]:
    """Each trainer's own split, in order."""
    size = trainers[0].eval_batch_size
    return islice(steps_of([split.batches(size) for split in splits], size), trainers[0].limit_batches)


def steps_at_once(trainer: Trainer, lanes: int) -> int:
    """Steps whose samples are as many as a batch of evaluation has; on a CPU, whose cache is small, all lanes' samples.

    Never a whole split that takes several steps: some give that in order, see dataset/tensors.py.
    """
    samples = trainer.eval_batch_size // (lanes if trainer.device.type == "cpu" else 1)
    within = min(samples, len(trainer.train) - 1) // trainer.batch_size
    return max(1, min(within, trainer.limit_batches or within))


def steps_of(chunks: Sequence[Iterator[tuple[Tensor, Tensor]]], batch_size: int) -> Iterator[Batch]:
    """(L, B, ...) inputs and targets of each step. chunks: a lane's, of whole batches but for the very last."""
    for lanes in zip(*chunks, strict=True):
        inputs, targets = zip(*lanes, strict=True)
        yield from zip(cut(inputs, batch_size), cut(targets, batch_size), strict=True)


def cut(lanes: Sequence[Tensor], size: int) -> Iterator[Tensor]:
    """L tensors (N, ...) as tensors (L, size, ...), each in one piece of memory; the last may be short."""
    whole = len(lanes[0]) // size * size
    if whole:
        yield from torch.stack([lane[:whole].view(-1, size, *lane.shape[1:]) for lane in lanes], dim=1)
    if whole < len(lanes[0]):
        yield torch.stack([lane[whole:] for lane in lanes])
