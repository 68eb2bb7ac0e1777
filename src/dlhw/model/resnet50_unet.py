"""U-Net whose way down is a ResNet-50.

Parameters with 3 channels in, 3 out, 16 base channels, imagenet stem, bilinear: 28,765,139, of which 23,508,032
are the encoder's.
"""

from itertools import pairwise

from torch import Tensor, nn

from dlhw.model.frozen import Freezable
from dlhw.model.layers import Activation, check_at_least
from dlhw.model.resnet50 import ResNet50, Stem
from dlhw.model.unet import Up, Upsample, padded


class ResNet50UNet(Freezable):
    """The maps of ResNet-50's stem and stages, joined on the way up; base_channels * 2**level channels there.

    Takes (N, in_channels, H, W) of any size, returns raw outputs (N, out_channels, H, W). imagenet stem: five
    halvings, the image itself is the uppermost map; cifar stem: three halvings, and sixteen times the work.
    `weights` as for resnet50; `freeze` trains the way up alone.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        base_channels: int = 16,
        stem: Stem = "imagenet",
        batchnorm: bool = True,
        upsample: Upsample = "bilinear",
        activation: Activation = "relu",
        weights: str | None = None,
        freeze: bool = False,
    ) -> None:
        check_at_least(1, in_channels=in_channels, out_channels=out_channels, base_channels=base_channels)
        super().__init__()
        self.encoder = ResNet50(in_channels, num_classes=1, stem=stem, weights=weights, freeze=freeze)
        del self.encoder.fc
        skips = [256, 512, 1024] if stem == "cifar" else [in_channels, 64, 256, 512, 1024]
        widths = [*(base_channels * 2**level for level in range(len(skips))), 2048]
        self.up = nn.ModuleList(
            Up(deep, skip, shallow, upsample, batchnorm, activation)
            for (deep, shallow), skip in zip(pairwise(widths[::-1]), skips[::-1], strict=True)
        )
        self.head = nn.Conv2d(base_channels, out_channels, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        x, crop = padded(images, 2 ** len(self.up))
        *skips, x = [x, *self.encoder.maps(x)]
        for up in self.up:
            x = up(x, skips.pop())
        return crop(self.head(x))
