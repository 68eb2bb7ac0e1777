"""Nets for which there is no more memory than so many samples take."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def holding(samples: int, training: bool) -> Iterator[list[int]]:
    """Every net refuses more samples than that, in training or in evaluation; the sizes of the batches that it saw."""
    seen: list[int] = []

    def refuse(module: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        if isinstance(module, nn.Flatten) and module.training == training:
            seen.append(len(args[0]))
            if len(args[0]) > samples:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    hook = nn.modules.module.register_module_forward_pre_hook(refuse)
    try:
        yield seen
    finally:
        hook.remove()
