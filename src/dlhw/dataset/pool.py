"""Images as they come from a file, and their conversion to the channels and the size that a run asks for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

CHUNK_BYTES = 64 * 2**20  # of float32 that a conversion holds at a time


@dataclass(frozen=True)
class Pool:
    """The images of one file, or of one folder, in file order; the splits are drawn from it."""

    images: NDArray[np.uint8]  # (N, C, H, W), 0..255; in memory or a np.memmap
    targets: NDArray[np.int64]  # (N,), 0..num_classes-1
    files: Sequence[Path] = ()  # (N,), where each image has one of its own
    digests: NDArray[np.uint64] | None = None  # (N,), of their bytes

    def __len__(self) -> int:
        return len(self.targets)


def matches(images: NDArray[np.uint8], in_channels: int, image_size: int) -> bool:
    """Whether (N, C, H, W) images already have that many channels and that side."""
    return images.shape[1:] == (in_channels, image_size, image_size)


def convert(images: NDArray[np.uint8], rows: NDArray[np.int64], in_channels: int, image_size: int) -> NDArray[np.uint8]:
    """The chosen rows of (N, C, H, W) as a new array (len(rows), in_channels, image_size, image_size), uint8.

    Rows are read in chunks, so that a memory-mapped file is never in memory as a whole beside its copy.
    """
    if matches(images, in_channels, image_size):
        return np.take(images, rows, axis=0)
    converted = np.empty((len(rows), in_channels, image_size, image_size), np.uint8)
    pixels = max(int(np.prod(images.shape[1:])), in_channels * image_size**2)
    step = max(1, CHUNK_BYTES // (4 * pixels))
    for start in range(0, len(rows), step):
        chunk = np.take(images, rows[start : start + step], axis=0)
        converted[start : start + step] = resize(recolour(chunk, in_channels), image_size)
    return converted


def recolour(images: NDArray[np.uint8], in_channels: int) -> NDArray[np.uint8]:
    """(N, 1 or 3, H, W) with in_channels channels: grey repeated; colour to luma (ITU-R 601), exactly Pillow's "L"."""
    if images.shape[1] == in_channels:
        return images
    if in_channels == 3:
        return np.repeat(images, 3, axis=1)
    red, green, blue = (images[:, channel].astype(np.uint32) for channel in range(3))
    luma = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16  # Pillow's own fixed-point weights, 2**16 = 1
    return luma.astype(np.uint8)[:, None]


def resize(images: NDArray[np.uint8], image_size: int) -> NDArray[np.uint8]:
    """(N, C, H, W) to (N, C, image_size, image_size): bilinear, with antialiasing where it shrinks, rounded."""
    if images.shape[2:] == (image_size, image_size):
        return images
    values = torch.from_numpy(np.require(images, requirements=["C", "W"])).to(torch.float32)
    size = (image_size, image_size)
    values = functional.interpolate(values, size, mode="bilinear", align_corners=False, antialias=True)
    resized: NDArray[Any] = values.round_().clamp_(0, 255).to(torch.uint8).numpy()
    return resized
