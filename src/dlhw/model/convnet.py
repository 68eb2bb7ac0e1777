"""A stack of convolutional blocks and a fully connected head. Presets of it, on 28x28x1 and ten classes:

simple_convnet (report 001)  conv 30 5x5, relu, maxpool, fc 100, relu, fc 10        433,890 parameters
cnn (report 000)             two of conv 5x5 (32, 64), relu, maxpool; fc 1024       3,274,634, as the YAML stands
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeVar

from torch import nn

from dlhw.model.layers import ACTIVATIONS, POOLS, Activation, Init, check_dropout, check_widths, init_weights

BlockPool = Literal["avg", "max", "none"]
T = TypeVar("T", int, BlockPool)


class ConvNet(nn.Sequential):
    """For each block convolution, batch norm (if asked), activation, pooling by 2 and dropout; then an fc head.

    Takes (N, in_channels, image_size, image_size), returns raw outputs (N, num_classes). `kernel_size`, `padding` and
    `pool` are one value for all blocks or a list of one a block. A hidden width of the head is affine, activation and
    dropout, without batch norm. Raises ValueError where nothing of the image is left, and for impossible values.
    """

    def __init__(
        self,
        in_channels: int,
        image_size: int,
        num_classes: int,
        channels: list[int],
        hidden: list[int],
        kernel_size: int | list[int] = 3,
        padding: int | list[int] = 1,
        pool: BlockPool | list[BlockPool] = "max",
        activation: Activation = "relu",
        batchnorm: bool = False,
        conv_dropout: float = 0.0,
        dropout: float = 0.0,
        init: Init = "default",
        std: float = 0.01,
    ) -> None:
        check_widths("channels", channels)
        check_widths("hidden", hidden)
        check_dropout(conv_dropout, "conv_dropout")
        check_dropout(dropout)
        kernels = per_block("kernel_size", kernel_size, len(channels), minimum=1)
        paddings = per_block("padding", padding, len(channels), minimum=0)
        pools = per_block("pool", pool, len(channels))
        act = ACTIVATIONS[activation]

        layers: list[nn.Module] = []
        for (n_in, n_out), k, p, name in zip(pairwise([in_channels, *channels]), kernels, paddings, pools, strict=True):
            layers.append(nn.Conv2d(n_in, n_out, kernel_size=k, padding=p))
            layers += [nn.BatchNorm2d(n_out)] if batchnorm else []
            layers.append(act())
            layers += [POOLS[name](2)] if name != "none" else []
            layers += [nn.Dropout(conv_dropout)] if conv_dropout else []
        layers.append(nn.Flatten())

        side = sides(image_size, kernels, paddings, pools)[-1]
        widths = [[in_channels, *channels][-1] * side**2, *hidden]
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), act()]
            layers += [nn.Dropout(dropout)] if dropout else []
        layers.append(nn.Linear(widths[-1], num_classes))
        super().__init__(*layers)
        for module in self.modules():
            init_weights(module, init, std)


def per_block(name: str, value: T | list[T], count: int, minimum: int | None = None) -> Sequence[T]:
    values: Sequence[T] = value if isinstance(value, list) else [value] * count
    if len(values) != count:
        raise ValueError(f"{name}={value}: must be one value, or {count}, as many as channels")
    if minimum is not None and any(isinstance(v, int) and v < minimum for v in values):
        raise ValueError(f"{name}={value}: must be at least {minimum}")
    return values


def sides(image_size: int, kernels: Sequence[int], paddings: Sequence[int], pools: Sequence[BlockPool]) -> list[int]:
    """The image's side before the first block and after each, in pixels. Raises ValueError where it falls below 1."""
    found = [image_size]
    for block, (kernel, padding, pool) in enumerate(zip(kernels, paddings, pools, strict=True), 1):
        side = (found[-1] + 2 * padding - kernel + 1) // (1 if pool == "none" else 2)
        if side < 1:
            raise ValueError(
                f"image_size={image_size}: too small for {len(kernels)} blocks: block {block} gets {found[-1]} pixels "
                f"a side, and kernel_size={kernel}, padding={padding}, pool={pool} leave none"
            )
        found.append(side)
    return found
