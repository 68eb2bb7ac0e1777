"""A split too large for the device: blocks are fetched by torch's DataLoader, from memory or from a mapped file."""

import mmap
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from dlhw.dataset.augment import Augment
from dlhw.dataset.batches import BlockSplit


class Blocks(Dataset[Tensor]):
    """Whole blocks of images by their indices; what a worker process gets.

    A mapped file travels as its path and is opened again on arrival; it is never pickled.
    """

    def __init__(self, images: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
        """(N, C, H, W) in memory or mapped as a whole, and which of them are in this split, in its order."""
        self.images = images
        self.rows = rows

    @property
    def is_mapped(self) -> bool:
        """Whether the images are a file as a whole: a slice of a mapped array does not know its own offset."""
        return isinstance(self.images, np.memmap) and isinstance(self.images.base, mmap.mmap)

    def __getitem__(self, block: NDArray[np.int64]) -> Tensor:
        """uint8 (len(block), C, H, W): the images at these positions of the split."""
        return torch.from_numpy(np.take(np.asarray(self.images), self.rows[block], axis=0))

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self.is_mapped:
            images: Any = self.images
            where = {"filename": images.filename, "offset": images.offset}
            state["images"] = {"shape": images.shape, "dtype": images.dtype, "mode": "r", **where}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if isinstance(state["images"], dict):
            state = {**state, "images": np.memmap(**state["images"])}
        self.__dict__.update(state)


class Order(Sampler[NDArray[np.int64]]):
    """The blocks of the epoch under way; set anew for each, since persistent workers keep their DataLoader."""

    def __init__(self) -> None:
        self.blocks: list[NDArray[np.int64]] = []

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return iter(self.blocks)

    def __len__(self) -> int:
        return len(self.blocks)


class Streamed(BlockSplit):
    """Images stay where they are; one epoch at a time may be under way."""

    def __init__(
        self,
        images: NDArray[np.uint8],
        rows: NDArray[np.int64],
        targets: Tensor,
        augmentation: Augment | None = None,
        num_workers: int | Literal["auto"] = "auto",
    ) -> None:
        """(N, C, H, W) and the rows of this split; (len(rows),) int64 targets on the device.

        num_workers "auto": 2 for a mapped file (0 on a single core), none for an array in memory, where fetching is
        a copy that another process would only do twice.
        """
        super().__init__(targets, images.shape[1:], augmentation)
        self._dataset = Blocks(images, rows)
        automatic = min(2, available_cpus() - 1) if self._dataset.is_mapped else 0
        workers = num_workers if isinstance(num_workers, int) else automatic
        self._order = Order()
        self._epoch = 0
        self._loader: DataLoader[Tensor] = DataLoader(
            self._dataset,
            batch_size=None,  # an element is a whole block already
            sampler=self._order,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=targets.device.type == "cuda",
            generator=torch.Generator(),  # else each epoch would take a number from torch's global generator
        )

    def blocks(self, order: Tensor | None, block_size: int) -> Iterator[Tensor]:
        """See BlockSplit.blocks. Raises RuntimeError where one epoch is begun inside another."""
        positions = np.arange(len(self)) if order is None else order.numpy()
        self._order.blocks = np.split(positions, range(block_size, len(positions), block_size))
        self._epoch += 1
        epoch = self._epoch
        with warnings.catch_warnings():
            # Python 3.12 warns of forks beside threads; these workers run NumPy's take and nothing of the threads'.
            warnings.filterwarnings("ignore", r".*use of fork\(\)", DeprecationWarning)
            fetched = iter(self._loader)
        for images in fetched:
            if epoch != self._epoch:
                raise RuntimeError("a second epoch over the same streamed split was started inside this one")
            yield images.to(self.targets.device, non_blocking=True)

    def raw(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """See Split.raw."""
        images: NDArray[Any] = self._dataset[np.asarray(list(indices), np.int64)].numpy()
        return images


def available_cpus() -> int:
    """Cores that this process may use; macOS cannot tell them from all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
