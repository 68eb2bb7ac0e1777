"""A step of lanes as CUDA graphs, one for each size of batch."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from dlhw.capture.graph import Graph
from dlhw.errors import first_line, lacks_memory

log = logging.getLogger("dlhw_sweep")


class Captured:
    """A function of CUDA tensors, captured once for each shape of its arguments, and replayed from then on.

    Where a capture fails, the function is called as it is, and a line says so.
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]], changed: Sequence[Tensor]) -> None:
        """changed: what the function changes in place, put back after the calls that warm up."""
        self.function = function
        self.changed = changed
        self.graphs: dict[tuple[torch.Size, ...], Graph] = {}
        self.fails = False

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        shapes = tuple(tensor.shape for tensor in tensors)
        if not self.fails and shapes not in self.graphs:
            self.try_to_capture(shapes, tensors)
        return self.function(*tensors) if self.fails else self.graphs[shapes](*tensors)

    def try_to_capture(self, shapes: tuple[torch.Size, ...], tensors: Sequence[Tensor]) -> None:
        try:
            self.graphs[shapes] = Graph(self.function, tensors, put_back(self.changed))
        except Exception as error:
            if lacks_memory(error):
                raise
            self.fails = True
            log.info("lanes go without a CUDA graph, whose capture failed: %s", first_line(error))


@contextmanager
def put_back(changed: Sequence[Tensor]) -> Iterator[None]:
    before = [tensor.detach().clone() for tensor in changed]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(changed, before, strict=True):
                tensor.copy_(value)
