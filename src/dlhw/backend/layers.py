"""Which numpy_nn layer stands for which torch layer. Weights and buffers are torch's own memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from dlhw import numpy_nn as twins
from dlhw.model import faster
from dlhw.numpy_nn import Layer


class NoTwin(Exception):
    """The message names what has no twin: a layer, or a layer with an option."""


def layer_of(module: nn.Module) -> Layer:
    """A new layer on the module's memory. Raises NoTwin."""
    if type(module) not in LAYERS:
        raise NoTwin(type(module).__name__)
    return LAYERS[type(module)](module)


def array(tensor: Tensor | None) -> Any:
    """The tensor's memory, None where there is none."""
    return None if tensor is None else tensor.detach().numpy()


def only(module: nn.Module, **options: Any) -> None:
    """Raise NoTwin for an option that differs from the one value that the twin has."""
    for name, value in options.items():
        found = getattr(module, name)
        if found != value:
            raise NoTwin(f"{type(module).__name__} with {name}={found}")


def number(module: nn.Module, name: str) -> int:
    """An option that torch keeps as a pair, or as one number for both. Raises NoTwin where the two differ."""
    found = getattr(module, name)
    pair = (found, found) if isinstance(found, int) else found
    if isinstance(found, str) or pair[0] != pair[1]:
        raise NoTwin(f"{type(module).__name__} with {name}={found}")
    return int(pair[0])


class CountingBatchNorm(twins.BatchNorm):
    """Counts its batches, as torch does, so that checkpoints are the same."""

    count: np.ndarray

    def forward(self, x: np.ndarray) -> np.ndarray:
        if self.training:
            self.count += 1
        return super().forward(x)


def linear(m: nn.Linear) -> Layer:
    return twins.Linear(array(m.weight), array(m.bias))


def conv2d(m: nn.Conv2d) -> Layer:
    only(m, groups=1, dilation=(1, 1), padding_mode="zeros")
    return twins.Conv2d(array(m.weight), array(m.bias), number(m, "stride"), number(m, "padding"))


def conv_transpose2d(m: nn.ConvTranspose2d) -> Layer:
    only(m, groups=1, dilation=(1, 1), output_padding=(0, 0))
    return twins.ConvTranspose2d(array(m.weight), array(m.bias), number(m, "stride"), number(m, "padding"))


def max_pool2d(m: nn.MaxPool2d) -> Layer:
    only(m, dilation=1, ceil_mode=False, return_indices=False)
    return twins.MaxPool2d(number(m, "kernel_size"), number(m, "stride"), number(m, "padding"))


def avg_pool2d(m: nn.AvgPool2d) -> Layer:
    only(m, padding=0, ceil_mode=False, divisor_override=None)
    return twins.AvgPool2d(number(m, "kernel_size"), number(m, "stride"))


def batch_norm(m: nn.BatchNorm1d | nn.BatchNorm2d) -> Layer:
    if m.momentum is None:
        raise NoTwin(f"{type(m).__name__} with momentum=None")
    only(m, affine=True, track_running_stats=True)
    buffers = array(m.running_mean), array(m.running_var)
    layer = CountingBatchNorm(array(m.weight), array(m.bias), *buffers, m.eps, m.momentum)
    layer.count = array(m.num_batches_tracked)
    return layer


def gelu(m: nn.GELU) -> Layer:
    only(m, approximate="none")
    return twins.GELU()


def upsample(m: nn.Upsample) -> Layer:
    only(m, mode="bilinear", scale_factor=2)
    return twins.Upsample(2, bool(m.align_corners))


def rnn(m: nn.RNN) -> Layer:
    only(m, nonlinearity="tanh", num_layers=1, batch_first=True, bidirectional=False)
    return twins.RNN(**{name: array(parameter) for name, parameter in m.named_parameters()})


def flatten(m: nn.Flatten) -> Layer:
    only(m, end_dim=-1)
    return twins.Flatten(m.start_dim)


LAYERS: dict[type[nn.Module], Callable[[Any], Layer]] = {
    nn.Linear: linear,
    nn.Conv2d: conv2d,
    faster.Conv2d: conv2d,
    nn.ConvTranspose2d: conv_transpose2d,
    nn.MaxPool2d: max_pool2d,
    nn.AvgPool2d: avg_pool2d,
    faster.AvgPool2d: avg_pool2d,
    nn.AdaptiveAvgPool2d: lambda m: twins.AdaptiveAvgPool2d(m.output_size),
    nn.BatchNorm1d: batch_norm,
    nn.BatchNorm2d: batch_norm,
    nn.Dropout: lambda m: twins.Dropout(m.p),
    nn.ReLU: lambda m: twins.ReLU(),
    nn.LeakyReLU: lambda m: twins.LeakyReLU(m.negative_slope),
    nn.Tanh: lambda m: twins.Tanh(),
    nn.Sigmoid: lambda m: twins.Sigmoid(),
    nn.SiLU: lambda m: twins.SiLU(),
    nn.LogSigmoid: lambda m: twins.LogSigmoid(),
    nn.GELU: gelu,
    nn.Softmax: lambda m: twins.Softmax(m.dim),
    nn.Identity: lambda m: twins.Identity(),
    nn.Flatten: flatten,
    nn.ZeroPad2d: lambda m: twins.ZeroPad2d(*m.padding),
    nn.Upsample: upsample,
    nn.RNN: rnn,
}
