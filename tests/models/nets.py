"""The nets under test, small enough for a CPU, and what several tests do with one."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dlhw.model.convnet import ConvNet
from dlhw.model.resnet50 import ResNet50
from dlhw.model.resnet50_unet import ResNet50UNet
from dlhw.model.rnn import RNN
from dlhw.model.unet import UNet
from dlhw.model.vgg16 import VGG16

CLASSIFIERS: dict[str, Callable[[int, int], nn.Module]] = {  # of in_channels and image_size, ten classes
    "simple_convnet": lambda c, s: ConvNet(c, s, 10, [30], [100], 5, 0, init="normal"),
    "cnn": lambda c, s: ConvNet(c, s, 10, [32, 64], [1024], 5, 2, dropout=0.5),
    "cnn_changed": lambda c, s: ConvNet(
        c, s, 10, [16, 16, 32, 32], [64], 3, 1, ["none", "max", "none", "avg"], batchnorm=True, conv_dropout=0.1
    ),
    "vgg16": lambda c, s: VGG16(c, s, 10, batchnorm=False),
    "vgg16_bn": lambda c, s: VGG16(c, s, 10),
    "resnet50": lambda c, s: ResNet50(c, 10),
    "resnet50_imagenet": lambda c, s: ResNet50(c, 10, stem="imagenet"),
    "resnet50_v1": lambda c, s: ResNet50(c, 10, stem="imagenet", block="bottleneck_v1"),
    "resnet50_v1_three_stages": lambda c, s: ResNet50(c, 10, "imagenet", "bottleneck_v1", [3, 4, 6]),
    "resnet50_preact": lambda c, s: ResNet50(c, 10, block="preact"),
    "resnet50_basic": lambda c, s: ResNet50(c, 10, block="basic"),
}
UNETS: dict[str, Callable[[int, int], nn.Module]] = {  # of in_channels and out_channels
    "unet_bilinear": lambda c, k: UNet(c, k, base_channels=4),
    "unet_transposed": lambda c, k: UNet(c, k, base_channels=4, depth=3, upsample="transposed", activation="silu"),
    "unet_without_norm": lambda c, k: UNet(c, k, base_channels=4, batchnorm=False),
    "resnet50_unet": lambda c, k: ResNet50UNet(c, k, base_channels=4),
    "resnet50_unet_cifar": lambda c, k: ResNet50UNet(c, k, base_channels=4, stem="cifar", upsample="transposed"),
}
RNNS: dict[str, Callable[[], nn.Module]] = {
    "rnn": lambda: RNN(2, 3, hidden_size=8),
    "gru": lambda: RNN(2, 3, hidden_size=8, num_layers=2, cell="gru", dropout=0.5),
    "lstm": lambda: RNN(2, 3, hidden_size=8, num_layers=2, cell="lstm"),
}


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def gradients_of_a_step(net: nn.Module, inputs: Tensor) -> tuple[float, float]:
    """One step of SGD, small against the gradient; the loss before and after it, on the same dropout."""
    with torch.no_grad():
        outputs = net(inputs)
    targets = torch.randn(outputs.shape)
    parameters = [p for p in net.parameters() if p.requires_grad]

    def loss() -> Tensor:
        torch.manual_seed(1)
        return F.mse_loss(net(inputs), targets)

    before = loss()
    before.backward()
    norm = sum(float(p.grad.square().sum()) for p in parameters if p.grad is not None) ** 0.5
    optimizer = torch.optim.SGD(parameters, lr=0.003 / max(norm, 1e-3) ** 2)
    optimizer.step()
    return before.item(), loss().item()
