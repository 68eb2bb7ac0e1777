"""Images with a class for each pixel, stored as one more channel, so that both are cut, mirrored and fetched as one."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from dlhw.dataset.batches import BlockSplit, cut
from dlhw.dataset.preprocess import Preprocess
from dlhw.dataset.shard import WHOLE, Shard, epoch_of


class Masked:
    """Inputs (N, C, S, S), targets (N, S, S) int64. Class 0 is the background.

    A crop that reaches over the edge puts zeros into every channel: black, and background.
    """

    def __init__(self, stored: BlockSplit) -> None:
        """`stored` has (N, C + 1, S, S) images, the last channel the classes. Its own targets are not looked at."""
        self.stored = stored

    @property
    def preprocess(self) -> Preprocess:
        """What the inputs go through."""
        return self.stored.preprocess

    @preprocess.setter
    def preprocess(self, preprocess: Preprocess) -> None:
        self.stored.preprocess = preprocess

    @property
    def targets(self) -> Tensor:
        """(N, S, S) int64, made anew at each call: eight bytes a pixel."""
        return torch.cat([classes(block) for block in self.stored.blocks(None, max(1, len(self)))])

    def __len__(self) -> int:
        return len(self.stored)

    def batches(
        self,
        batch_size: int,
        shuffle: torch.Generator | None = None,
        augment: torch.Generator | None = None,
        shard: Shard = WHOLE,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """See Split.batches."""
        epoch = epoch_of(len(self), batch_size, shuffle, shard)
        for block in self.stored.changed_blocks(epoch, augment):
            yield from cut(epoch.batch_size, self.preprocess(block[:, :-1]), classes(block))

    def blocks(self, order: Tensor | None, block_size: int) -> Iterator[Tensor]:
        """See PixelSplit.blocks: the images alone."""
        return (block[:, :-1] for block in self.stored.blocks(order, block_size))

    def raw(self, indices: Sequence[int]) -> NDArray[Any]:
        """See Split.raw."""
        return self.stored.raw(indices)[:, :-1]


def classes(block: Tensor) -> Tensor:
    """(N, S, S) int64, of stored (N, C + 1, S, S)."""
    return block[:, -1].to(torch.int64)
