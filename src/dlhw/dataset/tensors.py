"""A split of plain tensors on the device: points, windows of a sequence, whatever is small and no image."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from dlhw.dataset.batches import BLOCK_BYTES, cut
from dlhw.dataset.shard import WHOLE, Shard, epoch_of
from dlhw.dataset.transfer import send


class Tensors:
    """Inputs and targets as they are, row by row. Full-batch gradient descent gets them for 0.3 us an epoch."""

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        """(N, ...) float and (N, ...) float or int64, on the same device."""
        self.inputs = inputs
        self.targets = targets
        self._whole = ((inputs, targets),)

    def __len__(self) -> int:
        return len(self.targets)

    def batches(
        self,
        batch_size: int,
        shuffle: torch.Generator | None = None,
        augment: torch.Generator | None = None,
        shard: Shard = WHOLE,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """See Split.batches; but a batch that holds everything is the tensors themselves, in order.

        Then nothing is drawn from `shuffle`: the order within a batch changes no gradient.
        """
        if batch_size < len(self):
            return self._epoch(batch_size, shuffle, shard)
        return iter(self._whole) if shard.world_size == 1 else self._epoch(batch_size, None, shard)

    def _epoch(self, batch_size: int, shuffle: torch.Generator | None, shard: Shard) -> Iterator[tuple[Tensor, Tensor]]:
        """A block of whole batches at a time; in order they are views of the tensors."""
        epoch = epoch_of(len(self), batch_size, shuffle, shard)
        if epoch.order is None:
            yield from cut(batch_size, self.inputs, self.targets)
            return
        order = send(epoch.order, self.inputs.device)
        row_bytes = self.inputs[0].numel() * self.inputs.element_size()
        block_size = epoch.batch_size * max(1, BLOCK_BYTES // (epoch.batch_size * row_bytes))
        for start in range(0, len(order), block_size):
            rows = order[start : start + block_size]
            yield from cut(epoch.batch_size, self.inputs.index_select(0, rows), self.targets.index_select(0, rows))

    def raw(self, indices: Sequence[int]) -> NDArray[Any]:
        """See Split.raw: the inputs, as they are."""
        rows = torch.as_tensor(list(indices), dtype=torch.int64, device=self.inputs.device)
        inputs: NDArray[Any] = self.inputs.index_select(0, rows).cpu().numpy()
        return inputs
