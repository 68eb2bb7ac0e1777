"""What these tests share: the keys of each set as its YAML gives them, and a split as one batch."""

from typing import Any

import torch
from torch import Tensor

from dlhw.dataset.batches import Split
from dlhw.dataset.canvas import Canvas
from dlhw.dataset.denoise import Denoise
from dlhw.dataset.sine import Sine

CPU = torch.device("cpu")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def everything(split: Split, batch_size: int = 10**6, **generators: torch.Generator) -> tuple[Tensor, Tensor]:
    """A pass as one tensor of inputs and one of targets."""
    inputs, targets = zip(*split.batches(batch_size, **generators), strict=True)
    return torch.cat(inputs), torch.cat(targets)


def canvas(**changed: Any) -> Canvas:
    keys: dict[str, Any] = {
        "source": "digits",
        "root": "nowhere",
        "object_size": 8,
        "objects": [1, 3],
        "threshold": 0.25,
        "noise": 0.3,
        "image_size": 24,
        "seed": 0,
        "train_size": 30,
        "val_size": 20,
        "test_size": 25,
    }
    keys |= changed
    return Canvas(**{"in_features": keys["image_size"] ** 2} | keys)


def denoise(**changed: Any) -> Denoise:
    keys: dict[str, Any] = {
        "source": "digits",
        "root": "nowhere",
        "cache_dir": "nowhere",
        "sigma": 0.3,
        "in_channels": 1,
        "image_size": 12,
        "classes": None,
        "num_classes": None,
        "seed": 0,
        "val_size": 0.1,
    }
    keys |= changed
    return Denoise(**{"in_features": keys["in_channels"] * keys["image_size"] ** 2} | keys)


def sine(**changed: Any) -> Sine:
    keys: dict[str, Any] = {
        "length": 500,
        "period": 25.3,
        "noise": 0.1,
        "window": 20,
        "in_features": 1,
        "out_features": 1,
        "seed": 0,
        "val_size": 50,
        "test_size": 60,
    }
    return Sine(**keys | changed)
