"""U-Net (Ronneberger et al., 2015), with padded convolutions, so that outputs are as large as inputs.

Parameters with 1 channel in, 11 out, 16 base channels, depth 4, batch norm: 1,942,459 transposed, 1,811,899 bilinear.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dlhw.model.layers import ACTIVATIONS, Activation, check_at_least

Upsample = Literal["bilinear", "transposed"]


class ConvBlock(nn.Sequential):
    """Twice: 3x3 convolution, batch norm (if asked), activation. Weights are He's, as the paper has it."""

    def __init__(self, n_in: int, n_out: int, batchnorm: bool, activation: Activation) -> None:
        layers: list[nn.Module] = []
        for channels in (n_in, n_out):
            conv = nn.Conv2d(channels, n_out, kernel_size=3, padding=1, bias=not batchnorm)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            layers += [conv, *([nn.BatchNorm2d(n_out)] if batchnorm else []), ACTIVATIONS[activation]()]
        super().__init__(*layers)


class Up(nn.Module):
    """Twice as large, from `n_in` to `n_out` channels; joined with a map of `n_skip` channels; a ConvBlock.

    bilinear: the 1x1 convolution stands before the upsampling, where it costs a quarter and gives the same.
    """

    def __init__(
        self, n_in: int, n_skip: int, n_out: int, upsample: Upsample, batchnorm: bool, activation: Activation
    ) -> None:
        super().__init__()
        self.upsample: nn.Module
        if upsample == "transposed":
            self.upsample = nn.ConvTranspose2d(n_in, n_out, kernel_size=2, stride=2)
        else:
            larger = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
            self.upsample = nn.Sequential(nn.Conv2d(n_in, n_out, kernel_size=1), larger)
        self.block = ConvBlock(n_out + n_skip, n_out, batchnorm, activation)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        joined: Tensor = self.block(torch.cat([skip, self.upsample(x)], 1))
        return joined


class UNet(nn.Module):
    """`depth` halvings and as many doublings, each level joined to its like; base_channels * 2**level channels.

    Takes (N, in_channels, H, W) of any size, returns raw outputs (N, out_channels, H, W).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        base_channels: int = 16,
        depth: int = 4,
        batchnorm: bool = True,
        upsample: Upsample = "bilinear",
        activation: Activation = "relu",
    ) -> None:
        check_at_least(1, in_channels=in_channels, out_channels=out_channels, base_channels=base_channels, depth=depth)
        super().__init__()
        widths = [base_channels * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(ConvBlock(*pair, batchnorm, activation) for pair in pairwise([in_channels, *widths]))
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(
            Up(deep, shallow, shallow, upsample, batchnorm, activation) for deep, shallow in pairwise(widths[::-1])
        )
        self.head = nn.Conv2d(base_channels, out_channels, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        x, crop = padded(images, 2 ** len(self.up))
        skips = []
        for block in self.down[:-1]:
            skips.append(block(x))
            x = self.pool(skips[-1])
        x = self.down[-1](x)
        for up in self.up:
            x = up(x, skips.pop())
        return crop(self.head(x))


def padded(images: Tensor, multiple: int) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """The images in the middle of a size that is a multiple, edges repeated around; and what cuts them out again."""
    height, width = images.shape[-2:]
    rows, columns = -height % multiple, -width % multiple
    top, left = rows // 2, columns // 2
    images = F.pad(images, (left, columns - left, top, rows - top), mode="replicate")
    return images, lambda outputs: outputs[..., top : top + height, left : left + width]
