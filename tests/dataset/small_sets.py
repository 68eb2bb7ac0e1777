"""What the tests of data sets share: the keys of a set, small files, and a set as four tensors."""

import hashlib
import struct
from typing import Any

import numpy as np
import torch

from dlhw.dataset.images import ImageSet


def facts(in_channels: int = 1, image_size: int = 28, **changed: Any) -> dict[str, Any]:
    """The keys that every image set has to be given, as conf/dataset/*.yaml would."""
    in_features = in_channels * image_size**2
    shape = {"in_channels": in_channels, "image_size": image_size, "in_features": in_features}
    return shape | {"classes": None, "num_classes": None, "seed": 0, "val_size": 0} | changed


def idx_bytes(array: np.ndarray) -> bytes:
    """An idx file of unsigned bytes."""
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def load_all(dataset: ImageSet) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs and targets of train and test, each as one batch, in order."""
    splits = dataset.load(torch.device("cpu"))
    (train_inputs, train_targets), *more = splits.train.batches(len(splits.train))
    (test_inputs, test_targets), *more_test = splits.test.batches(len(splits.test))
    assert not more
    assert not more_test
    return train_inputs, train_targets, test_inputs, test_targets
