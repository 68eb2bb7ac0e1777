"""A function of CUDA tensors as a CUDA graph: its kernels are launched as one, where launching each takes longer."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

WARM_UP = 3  # calls before the capture, in which libraries choose kernels and optimizers make their state


class Graph:
    """Called with tensors like those of its capture, does what the function does, and returns copies of its results."""

    def __init__(
        self,
        function: Callable[..., tuple[Tensor, ...]],
        inputs: Sequence[Tensor],
        trial: AbstractContextManager[None],
    ) -> None:
        """Capture, as torch's notes on CUDA graphs have it: after a few calls on a stream of their own.

        function: must wait for nothing on the device. trial: what is done within it is undone. Raises whatever torch
        and CUDA raise where the function cannot be captured.
        """
        self.inputs = [torch.empty_like(tensor).copy_(tensor) for tensor in inputs]
        with trial, torch.cuda.device(self.inputs[0].device):
            beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            beside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(beside):
                for _ in range(WARM_UP):
                    function(*self.inputs)
            torch.cuda.current_stream().wait_stream(beside)
            self.graph = torch.cuda.CUDAGraph()
            # thread_local: a data loader's thread, which pins memory meanwhile, does not break the capture off
            with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
                self.outputs = function(*self.inputs)

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        for static, tensor in zip(self.inputs, tensors, strict=True):
            static.copy_(tensor)
        self.graph.replay()
        return tuple(output.clone() for output in self.outputs)
