"""From uint8 pixels to a network's inputs. A checkpoint stores it, so that other images can go the same way."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

EXACT_IMAGES = 64  # that many squares, 255 at most, add up to less than 2**24: exact in float32, in any order

Normalize = Literal["none", "channel", "pixel"]


@dataclass(frozen=True, eq=False)
class Preprocess:
    """uint8 (N, C, H, W) to dtype: scaled to [0, 1] exactly as torchvision's ToTensor, then normalised if asked."""

    mean: Tensor | None = None  # of the training split in [0, 1]: float64, (C, 1, 1) or (C, H, W)
    std: Tensor | None = None  # likewise; 1 where it would be 0
    dtype: torch.dtype = torch.float32
    channels_last: bool = False

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, H, W) uint8 on the device that `to` named; returns new inputs of dtype there."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        inputs = images.to(self.dtype, memory_format=layout).div_(255)
        if self.mean is not None and self.std is not None:
            inputs.sub_(self.mean).div_(self.std)
        return inputs

    def to(self, device: torch.device) -> "Preprocess":
        """The same, with its tensors on the device and in its dtype, so that no call has to move them."""
        if self.mean is None or self.std is None:
            return self
        # Through the dtype first: a device without float64 (mps) must never see one.
        mean, std = (value.cpu().to(self.dtype).to(device) for value in (self.mean, self.std))
        return replace(self, mean=mean, std=std)

    def state_dict(self) -> dict[str, Tensor]:
        """Plain CPU tensors for torch.save; empty when nothing is normalised."""
        if self.mean is None or self.std is None:
            return {}
        return {"mean": self.mean.cpu(), "std": self.std.cpu()}

    @classmethod
    def from_state_dict(
        cls, state: dict[str, Tensor], dtype: torch.dtype = torch.float32, channels_last: bool = False
    ) -> "Preprocess":
        """Rebuild it from `state_dict()`; on the CPU until `to` moves it."""
        return cls(state.get("mean"), state.get("std"), dtype, channels_last)


def measure(
    blocks: Iterable[Tensor], normalize: Normalize, dtype: torch.dtype = torch.float32, channels_last: bool = False
) -> Preprocess:
    """Mean and (population) std over the training split's uint8 blocks (n, C, H, W), exactly, from whole sums.

    Sums of a few images are taken in float32, where they are exact and 25 times as fast as in int64.
    """
    if normalize == "none":
        return Preprocess(dtype=dtype, channels_last=channels_last)
    total: Any = 0
    squares: Any = 0
    count = 0
    for block in blocks:
        for start in range(0, len(block), EXACT_IMAGES):
            values = block[start : start + EXACT_IMAGES].to(torch.float32)
            total = total + values.sum(0).to(torch.int64)
            squares = squares + values.square_().sum(0).to(torch.int64)
        count += len(block)
    # Python's integers from here: count * squares can pass 2**63 for a large set.
    total, squares = (sums.cpu().numpy().astype(object) for sums in (total, squares))
    if normalize == "channel":
        count *= total.shape[1] * total.shape[2]
        total, squares = (sums.sum(axis=(1, 2), keepdims=True) for sums in (total, squares))
    mean = (total / (255 * count)).astype(np.float64)
    variance = ((count * squares - total * total) / (255 * count) ** 2).astype(np.float64)
    std = np.sqrt(variance)
    std[std == 0] = 1.0
    return Preprocess(torch.from_numpy(mean), torch.from_numpy(std), dtype, channels_last)
