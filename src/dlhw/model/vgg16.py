"""VGG-16 (Simonyan and Zisserman, 2015), of torchvision's layers under torchvision's names.

Parameters with 3 channels: imagenet head, 1000 classes 138,357,544 (138,365,992 with batch norm); cifar head, ten
classes 14,719,818 (14,728,266).
"""

from typing import Literal

from torch import Tensor, nn
from torchvision.models import VGG16_BN_Weights, VGG16_Weights
from torchvision.models.vgg import cfgs, make_layers

from dlhw.model.frozen import Freezable
from dlhw.model.layers import check_at_least, check_dropout
from dlhw.model.pretrained import load_weights, read_weights

SMALLEST = 32  # pixels: five poolings leave one


class VGG16(Freezable):
    """Thirteen 3x3 convolutions with five poolings, and a head. Returns raw outputs (N, num_classes).

    Takes (N, in_channels, S, S); images of fewer than 32 pixels are padded by zeros to 32. The convolutions are those
    of every VGG-16; `stem` chooses the head that goes with the images: `imagenet` is torchvision's (7x7 average pool,
    4096, 4096, classes), `cifar` the one for small images (global average pool, classes). `dropout` is the head's.
    `weights` is null, IMAGENET1K_V1 or a file of a state_dict (see pretrained.py). `freeze` trains the head alone.
    """

    def __init__(
        self,
        in_channels: int,
        image_size: int,
        num_classes: int,
        batchnorm: bool = True,
        stem: Literal["cifar", "imagenet"] = "cifar",
        dropout: float = 0.5,
        weights: str | None = None,
        freeze: bool = False,
    ) -> None:
        check_at_least(1, in_channels=in_channels, image_size=image_size, num_classes=num_classes)
        check_dropout(dropout)
        state = None
        if weights is not None:
            offered = VGG16_BN_Weights if batchnorm else VGG16_Weights
            # those of VGG16_Weights without categories have no classifier
            published = {w.name: w.url for w in offered if w.meta["categories"] is not None}
            state = read_weights(weights, published, "vgg16_bn" if batchnorm else "vgg16")

        super().__init__()
        missing = max(0, SMALLEST - image_size)
        self.pad = nn.ZeroPad2d((missing // 2, missing - missing // 2) * 2)
        self.features = make_layers(cfgs["D"], batch_norm=batchnorm)
        self.features[0] = nn.Conv2d(in_channels, 64, kernel_size=3, padding=1)
        if stem == "imagenet":
            self.avgpool = nn.AdaptiveAvgPool2d(7)
            self.classifier = nn.Sequential(
                *(nn.Linear(512 * 7 * 7, 4096), nn.ReLU(inplace=True), nn.Dropout(dropout)),
                *(nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(dropout)),
                nn.Linear(4096, num_classes),
            )
        else:
            self.avgpool = nn.AdaptiveAvgPool2d(1)
            self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(512, num_classes))
        self.apply(init_as_torchvision)
        if weights is not None and state is not None:
            load_weights(self, state, weights, first="features.0", head="classifier")
        if freeze:
            self.freeze_all_but("classifier")

    def forward(self, images: Tensor) -> Tensor:
        maps = self.avgpool(self.features(self.pad(images)))
        logits: Tensor = self.classifier(maps.flatten(1))
        return logits


def init_as_torchvision(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
