"""What the trainer iterates. It does not know whether the images lie on the device or come from a file.

Work is done a block at a time: several whole batches are gathered, augmented and scaled at once, then handed out as
views. A step of a small net takes 0.7 ms, so what it costs to make its batch should be next to nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlhw.dataset.augment import Augment
from dlhw.dataset.duplicates import Duplicates
from dlhw.dataset.preprocess import Preprocess
from dlhw.dataset.shard import WHOLE, Epoch, Shard, epoch_of
from dlhw.dataset.transfer import send

BLOCK_BYTES = 8 * 2**20  # of inputs in a block
# For images resident in a CPU's memory. 28x28 at batch 100 and 1 thread: 50 us a batch, 65 without blocks, and 47 to 82
# at 8 MB, as glibc gives larger pieces back to the kernel, to be faulted in again.
CPU_BLOCK_BYTES = 2 * 2**20


class Split(Protocol):
    """One of train, val and test."""

    @property
    def targets(self) -> Tensor:
        """All of them, on the device: int64 classes, or values."""
        ...

    def __len__(self) -> int: ...

    def batches(
        self,
        batch_size: int,
        shuffle: torch.Generator | None = None,
        augment: torch.Generator | None = None,
        shard: Shard = WHOLE,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """(inputs (B, ...), targets (B, ...)) on the device; the last batch may be short.

        In order, unless `shuffle` is given (a CPU generator): then the order is exactly one
        `torch.randperm(len(split), generator=shuffle)` an epoch. Training samples are changed at random only if
        `augment` (a CPU generator) is given. shard: this part of every batch alone, of the samples and the changes that
        it would have without; a batch of `batch_size` has a sample for each rank at least.
        """
        ...

    def raw(self, indices: Sequence[int]) -> NDArray[Any]:
        """The samples at these positions of the split; images as (n, C, H, W), 0..255, without noise of ours."""
        ...


class PixelSplit(Split, Protocol):
    """A split of images, as it stands before the training split is measured."""

    preprocess: Preprocess

    def blocks(self, order: Tensor | None, block_size: int) -> Iterator[Tensor]:
        """uint8 (block_size, C, H, W) on the device, by CPU positions (n,) or in order; the last may be short."""
        ...


@dataclass
class Splits:
    """All that a run needs of a data set."""

    train: Split
    val: Split | None
    test: Split
    preprocess: Preprocess
    classes: list[str] | None  # None: the targets are values
    duplicates: Duplicates | None = None  # None: not looked for


def cut(batch_size: int, inputs: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """A block as batches: views of it, the last of which may be short."""
    cuts = list(range(batch_size, len(inputs), batch_size))
    return zip(inputs.tensor_split(cuts), targets.tensor_split(cuts), strict=True)


class BlockSplit(ABC):
    """What Resident and Streamed share; they differ in where a block of uint8 images comes from."""

    def __init__(self, targets: Tensor, image_shape: Sequence[int], augmentation: Augment | None) -> None:
        self.targets = targets
        self.preprocess = Preprocess()  # set once the training split is measured; on the device of the targets
        self._pixels = int(np.prod(image_shape))
        self._block_bytes = BLOCK_BYTES
        self._augmentation = augmentation

    def __len__(self) -> int:
        return len(self.targets)

    def batches(
        self,
        batch_size: int,
        shuffle: torch.Generator | None = None,
        augment: torch.Generator | None = None,
        shard: Shard = WHOLE,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """See Split.batches."""
        epoch = epoch_of(len(self), batch_size, shuffle, shard)
        targets = self.targets
        if epoch.order is not None:
            targets = targets.index_select(0, send(epoch.order, targets.device))
        start = 0
        for images in self.changed_blocks(epoch, augment):
            stop = start + len(images)
            yield from cut(epoch.batch_size, self.preprocess(images), targets[start:stop])
            start = stop

    def changed_blocks(self, epoch: Epoch, augment: torch.Generator | None = None) -> Iterator[Tensor]:
        """The epoch's blocks, changed at random if `augment` is given: drawn for all ranks, so that all draw alike."""
        block_size = self.block_size(epoch.batch_size)
        if augment is None or not self._augmentation:
            yield from self.blocks(epoch.order, block_size)
            return
        draws = self._augmentation.draw(len(self), augment)
        if epoch.places is not None:
            draws = draws.at(epoch.places)
        start = 0
        for images in self.blocks(epoch.order, block_size):
            yield self._augmentation.apply(images, draws.part(start, start + len(images)))
            start += len(images)

    def block_size(self, batch_size: int) -> int:
        """Images in a block: whole batches, one at least."""
        batch_bytes = batch_size * self._pixels * self.preprocess.dtype.itemsize
        return batch_size * max(1, self._block_bytes // batch_bytes)

    @abstractmethod
    def blocks(self, order: Tensor | None, block_size: int) -> Iterator[Tensor]:
        """uint8 (block_size, C, H, W) on the device, by CPU positions (n,) or in order; the last may be short."""

    @abstractmethod
    def raw(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """See Split.raw."""


class Resident(BlockSplit):
    """All images as one uint8 tensor on the device."""

    def __init__(self, images: Tensor, targets: Tensor, augmentation: Augment | None = None) -> None:
        """(N, C, H, W) uint8 and (N,) int64, on the same device."""
        super().__init__(targets, images.shape[1:], augmentation)
        self.images = images
        if images.device.type == "cpu":
            self._block_bytes = CPU_BLOCK_BYTES

    def blocks(self, order: Tensor | None, block_size: int) -> Iterator[Tensor]:
        """See BlockSplit.blocks."""
        rows = None if order is None else send(order, self.images.device)
        for start in range(0, len(self) if rows is None else len(rows), block_size):
            part = slice(start, start + block_size)
            # index_select, not advanced indexing: 330 against 1,250 ns an image of 28x28 at 1 thread, scaling included.
            yield self.images[part] if rows is None else self.images.index_select(0, rows[part])

    def raw(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """See Split.raw."""
        rows = torch.as_tensor(list(indices), dtype=torch.int64, device=self.images.device)
        images: NDArray[Any] = self.images.index_select(0, rows).cpu().numpy()
        return images
