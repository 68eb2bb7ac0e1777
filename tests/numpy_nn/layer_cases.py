"""Each layer of numpy_nn beside torch's: small random settings, the same weights. `draw(low, high)` gives a size."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

import dlhw.numpy_nn as numpy_nn

Draw = Callable[[int, int], int]


def arrays(module: nn.Module) -> dict[str, np.ndarray]:
    """Parameters and buffers, sharing memory with torch's."""
    return {name: value.detach().numpy() for name, value in module.state_dict().items()}


def randomised(module: nn.Module, draw: Draw) -> nn.Module:
    """In float64, every parameter random: none is 0 or 1 by its default."""
    generator = torch.Generator().manual_seed(draw(0, 2**31))
    module = module.double()
    for parameter in module.parameters():
        with torch.no_grad():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return module


def maps(draw: Draw, smallest: int) -> np.ndarray:
    shape = (draw(1, 3), draw(1, 4), draw(smallest, 9), draw(smallest, 9))
    return np.random.default_rng(draw(0, 2**31)).standard_normal(shape)


def linear(draw):
    module = randomised(nn.Linear(draw(1, 6), draw(1, 6), bias=bool(draw(0, 1))), draw)
    middle = (draw(1, 3),) * draw(0, 1)
    x = np.random.default_rng(draw(0, 2**31)).standard_normal((draw(1, 5), *middle, module.in_features))
    return numpy_nn.Linear(**arrays(module)), module, x


def conv2d(draw):
    kernel, stride, padding = (draw(1, 4), draw(1, 4)), draw(1, 3), draw(0, 2)
    x = maps(draw, smallest=4)
    module = randomised(nn.Conv2d(x.shape[1], draw(1, 4), kernel, stride, padding, bias=bool(draw(0, 1))), draw)
    return numpy_nn.Conv2d(**arrays(module), stride=stride, padding=padding), module, x


def conv_transpose2d(draw):
    kernel, stride, padding = (draw(1, 4), draw(1, 4)), draw(1, 3), draw(0, 1)
    x = maps(draw, smallest=3)
    module = nn.ConvTranspose2d(x.shape[1], draw(1, 4), kernel, stride, padding, bias=bool(draw(0, 1)))
    module = randomised(module, draw)
    return numpy_nn.ConvTranspose2d(**arrays(module), stride=stride, padding=padding), module, x


def max_pool(draw):
    kernel = draw(1, 4)
    settings = kernel, draw(1, 4), draw(0, kernel // 2)
    x = maps(draw, smallest=4)
    return numpy_nn.MaxPool2d(*settings), nn.MaxPool2d(*settings), x


def max_pool_of_equals(draw):
    """Whole numbers from a few: many windows have several largest."""
    layer, module, x = max_pool(draw)
    return layer, module, np.rint(x)


def avg_pool(draw):
    settings = draw(1, 4), draw(1, 4)
    return numpy_nn.AvgPool2d(*settings), nn.AvgPool2d(*settings), maps(draw, smallest=4)


def adaptive_avg_pool(draw):
    size = (draw(1, 7), draw(1, 7))
    return numpy_nn.AdaptiveAvgPool2d(size), nn.AdaptiveAvgPool2d(size), maps(draw, smallest=1)


def upsample(align_corners):
    def case(draw):
        scale = draw(1, 4)
        module = nn.Upsample(scale_factor=scale, mode="bilinear", align_corners=align_corners)
        return numpy_nn.Upsample(scale, align_corners), module, maps(draw, smallest=1)

    return case


def batch_norm(training):
    def case(draw):
        axes = draw(0, 2)
        shape = (draw(2, 5), draw(1, 4), *(draw(1, 5) for _ in range(axes)))
        module = randomised((nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d)[axes](shape[1]), draw).train(training)
        own = {name: value.copy() for name, value in arrays(module).items() if name != "num_batches_tracked"}
        layer = numpy_nn.BatchNorm(**own)
        layer.training = training
        return layer, module, np.random.default_rng(draw(0, 2**31)).standard_normal(shape)

    return case


def activation(layer, module):
    def case(draw):
        shape = [draw(1, 4) for _ in range(draw(2, 4))]
        return layer, module, 3 * np.random.default_rng(draw(0, 2**31)).standard_normal(shape)

    return case


def flatten(draw):
    start = draw(0, 3)
    return numpy_nn.Flatten(start), nn.Flatten(start), maps(draw, smallest=1)


def zero_pad(draw):
    widths = [draw(-2, 3) for _ in range(4)]
    return numpy_nn.ZeroPad2d(*widths), nn.ZeroPad2d(tuple(widths)), maps(draw, smallest=5)


def index(draw):
    class Last(nn.Module):
        def forward(self, x):
            return x[:, -1, 1:3]

    return numpy_nn.Index((slice(None), -1, slice(1, 3))), Last(), maps(draw, smallest=4)


def rnn(draw):
    class Outputs(nn.RNN):
        def forward(self, x):
            return super().forward(x)[0]

    module = randomised(Outputs(draw(1, 4), draw(1, 5), batch_first=True, bias=bool(draw(0, 1))), draw)
    shape = (draw(1, 4), draw(1, 8), module.input_size)
    return numpy_nn.RNN(**arrays(module)), module, np.random.default_rng(draw(0, 2**31)).standard_normal(shape)


def net(draw):
    """One of each kind behind the other, so that what a layer hands on in memory meets the next."""
    x = maps(draw, smallest=6)
    convs = [nn.Conv2d(x.shape[1], 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)]
    module = nn.Sequential(*convs, nn.Conv2d(3, 2, 2), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    module = randomised(module.append(nn.Linear(8, 3)), draw)
    conv1, norm, conv2, head = (arrays(module[i]) for i in (0, 1, 4, 8))
    norm = {name: value.copy() for name, value in norm.items() if name != "num_batches_tracked"}
    layers = [numpy_nn.Conv2d(**conv1, padding=1), numpy_nn.BatchNorm(**norm), numpy_nn.ReLU(), numpy_nn.MaxPool2d(2)]
    layers += [numpy_nn.Conv2d(**conv2), numpy_nn.Tanh(), numpy_nn.AdaptiveAvgPool2d(2), numpy_nn.Flatten()]
    return numpy_nn.Sequential([*layers, numpy_nn.Linear(**head)]), module, x


CASES = {
    "linear": linear,
    "conv2d": conv2d,
    "conv_transpose2d": conv_transpose2d,
    "max_pool": max_pool,
    "max_pool_of_equals": max_pool_of_equals,
    "avg_pool": avg_pool,
    "adaptive_avg_pool": adaptive_avg_pool,
    "upsample": upsample(False),
    "upsample_align_corners": upsample(True),
    "batch_norm_training": batch_norm(True),
    "batch_norm_evaluation": batch_norm(False),
    "identity": activation(numpy_nn.Identity(), nn.Identity()),
    "relu": activation(numpy_nn.ReLU(), nn.ReLU()),
    "leaky_relu": activation(numpy_nn.LeakyReLU(0.02), nn.LeakyReLU(0.02)),
    "tanh": activation(numpy_nn.Tanh(), nn.Tanh()),
    "sigmoid": activation(numpy_nn.Sigmoid(), nn.Sigmoid()),
    "silu": activation(numpy_nn.SiLU(), nn.SiLU()),
    "log_sigmoid": activation(numpy_nn.LogSigmoid(), nn.LogSigmoid()),
    "gelu": activation(numpy_nn.GELU(), nn.GELU()),
    "softmax": activation(numpy_nn.Softmax(), nn.Softmax(1)),
    "softmax_last": activation(numpy_nn.Softmax(-1), nn.Softmax(-1)),
    "flatten": flatten,
    "zero_pad": zero_pad,
    "index": index,
    "rnn": rnn,
    "net": net,
}
