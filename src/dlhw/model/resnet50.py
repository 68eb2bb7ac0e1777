"""ResNet-50 (He et al., 2016), of torchvision's blocks under torchvision's names, and variants of it.

Parameters: imagenet stem, 3 channels, 1000 classes 25,557,032; cifar stem, ten classes 23,520,842.
The report's own ResNet-50 "differs a little from the usual one" and does not say how. A course exercise that it seems
to answer ends after the third stage and halves the maps in a block's first convolution. Nearest to it, though there a
stage's last block halves: `block=bottleneck_v1 layers=[3,4,6] stem=imagenet`, 8,553,546 parameters.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torchvision.models import ResNet34_Weights, ResNet50_Weights
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from dlhw.model.frozen import Freezable
from dlhw.model.layers import check_at_least, check_widths
from dlhw.model.pretrained import load_weights, read_weights

Stem = Literal["cifar", "imagenet"]
Block = Literal["bottleneck", "bottleneck_v1", "preact", "basic"]


class BottleneckV1(Bottleneck):  # type: ignore[misc]  # torchvision states no types
    """As the paper has it: the first 1x1 convolution halves the map, not the 3x3."""

    def __init__(self, inplanes: int, planes: int, stride: int = 1, *others: Any, **named: Any) -> None:
        super().__init__(inplanes, planes, stride, *others, **named)
        self.conv1.stride, self.conv2.stride = self.conv2.stride, self.conv1.stride


class PreactBottleneck(Bottleneck):  # type: ignore[misc]
    """Norm and relu before each convolution, nothing after the sum (He et al., 2016, Identity Mappings)."""

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Sequential | None = None,
        *others: Any,
        **named: Any,
    ) -> None:
        super().__init__(inplanes, planes, stride, None if downsample is None else downsample[0], *others, **named)
        self.bn1, self.bn3 = nn.BatchNorm2d(inplanes), nn.BatchNorm2d(planes)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(x))
        identity = x if self.downsample is None else self.downsample(out)
        out = self.conv1(out)
        out = self.conv2(self.relu(self.bn2(out)))
        out = self.conv3(self.relu(self.bn3(out)))
        total: Tensor = out + identity
        return total


BLOCKS: dict[Block, type[Bottleneck | BasicBlock]] = {
    "bottleneck": Bottleneck,
    "bottleneck_v1": BottleneckV1,
    "preact": PreactBottleneck,
    "basic": BasicBlock,
}
RESNET50 = [3, 4, 6, 3]  # blocks a stage
PUBLISHED = {"bottleneck": ("resnet50", ResNet50_Weights), "basic": ("resnet34", ResNet34_Weights)}


class ResNet50(Freezable, ResNet):  # type: ignore[misc]
    """A stem, three or four stages of residual blocks, and one affine layer. Returns raw outputs (N, num_classes).

    Takes (N, in_channels, H, W) of any size. `stem=imagenet` is torchvision's (7x7 by 2, max pool by 2), `cifar` one
    3x3 convolution that keeps the size. `block`: bottleneck (torchvision's, which halves in the 3x3), bottleneck_v1
    (the paper's), preact, or basic (two 3x3: a ResNet-34). `layers` is the number of blocks of each stage.
    `weights` is null, IMAGENET1K_V1, IMAGENET1K_V2 or a file of a state_dict (see pretrained.py). `freeze` trains
    the head alone.
    """

    bn1: nn.Module
    relu: nn.Module
    maxpool: nn.Module
    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module
    layer4: nn.Module
    avgpool: nn.Module
    fc: nn.Linear

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        stem: Stem = "cifar",
        block: Block = "bottleneck",
        layers: list[int] | None = None,
        weights: str | None = None,
        freeze: bool = False,
    ) -> None:
        layers = RESNET50 if layers is None else layers
        check_at_least(1, in_channels=in_channels, num_classes=num_classes)
        check_widths("layers", layers, count=3 if len(layers) == 3 else 4)
        state = None
        if weights is not None:
            name, offered = PUBLISHED.get(block if layers == RESNET50 else "", (f"block={block}, layers={layers}", []))
            state = read_weights(weights, {w.name: w.url for w in offered}, name)

        super().__init__(BLOCKS[block], [*layers, 1][:4], num_classes)
        if in_channels != 3 or stem == "cifar":
            size, stride, padding = (3, 1, 1) if stem == "cifar" else (7, 2, 3)
            self.conv1 = nn.Conv2d(in_channels, 64, size, stride, padding, bias=False)
            nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        if stem == "cifar":
            self.maxpool = nn.Identity()
        if len(layers) == 3:
            self.layer4 = nn.Identity()
            self.fc = nn.Linear(256 * BLOCKS[block].expansion, num_classes)
        if block == "preact":
            last = "layer3" if len(layers) == 3 else "layer4"
            norm = nn.BatchNorm2d(self.fc.in_features)
            setattr(self, last, nn.Sequential(*getattr(self, last), norm, nn.ReLU(inplace=True)))
        if weights is not None and state is not None:
            load_weights(self, state, weights, first="conv1", head="fc")
        if freeze:
            self.freeze_all_but("fc")

    def maps(self, images: Tensor) -> list[Tensor]:
        """What the stem gives before its pooling, 64 channels, and what each stage gives."""
        stem: Tensor = self.relu(self.bn1(self.conv1(images)))
        maps, x = [stem], self.maxpool(stem)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(torch.flatten(self.avgpool(self.maps(images)[-1]), 1))
        return logits
