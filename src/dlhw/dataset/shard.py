"""The part of a pass that one process takes: of several that train one model ("ranks"), or going on with a pass."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Shard:
    """Of every batch the rank's samples in a row: the parts, rank by rank, are the batch as one process has it."""

    rank: int = 0
    world_size: int = 1
    done: int = 0  # whole batches at the beginning of the pass that are left out

    @property
    def whole(self) -> bool:
        return self.world_size == 1 and not self.done

    def bounds(self, size: int) -> tuple[int, int]:
        """Where the part of a batch of `size` begins and ends. Parts differ by one sample, the first ranks' are larger.

        Begin and end are equal for the last ranks of a batch of fewer samples than ranks.
        """
        least, more = divmod(size, self.world_size)
        start = self.rank * least + min(self.rank, more)
        return start, start + least + (self.rank < more)

    def count(self, size: int) -> int:
        """Samples of a batch of `size` that are this rank's."""
        start, stop = self.bounds(size)
        return stop - start

    def places(self, length: int, batch_size: int) -> Tensor:
        """(n,) int64: which places of a pass over `length` samples are this rank's, `done` batches left out.

        A rank without a sample of the last batch gets that batch's last one: it has to go along in every step, and
        whoever averages gives it no weight.
        """
        whole = length - length % batch_size
        start, stop = self.bounds(batch_size)
        places = torch.arange(whole).view(-1, batch_size)[self.done :, start:stop].flatten()
        if whole == length:
            return places
        start, stop = self.bounds(length - whole)
        start = min(start, length - whole - 1)
        return torch.cat([places, torch.arange(whole + start, whole + max(stop, start + 1))])


WHOLE = Shard()


@dataclass(frozen=True)
class Epoch:
    """What a rank goes through in one pass over a split."""

    order: Tensor | None  # (n,) int64 on the CPU: the samples, one after another; None: all of them, as they stand
    places: Tensor | None  # (n,) int64 on the CPU: where they stand in the whole pass; None: they are the whole pass
    batch_size: int  # its samples of a batch; the last may be short


def epoch_of(length: int, batch_size: int, shuffle: torch.Generator | None, shard: Shard) -> Epoch:
    """A pass in order, or by one `torch.randperm(length, generator=shuffle)`, which is the same on every rank."""
    order = None if shuffle is None else torch.randperm(length, generator=shuffle)
    if shard.whole:
        return Epoch(order, None, batch_size)
    places = shard.places(length, batch_size)
    return Epoch(places if order is None else order[places], places, shard.count(batch_size))
