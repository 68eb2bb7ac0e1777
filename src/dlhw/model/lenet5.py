"""LeNet-5 and its variants (LeCun et al., 1998; the settings of both LeNet reports)."""

from typing import Literal

from torch import nn

from dlhw.model.faster import Conv2d
from dlhw.model.layers import ACTIVATIONS, POOLS, Activation, Init, Pool, check_dropout, check_widths, init_weights


class LeNet5(nn.Sequential):
    """Three 5x5 convolutions, the first two each pooled by 2, then fully connected 84 and the classes.

    Takes (N, in_channels, S, S), S = 28 (padded by 2 in the first convolution) or 32; returns raw outputs
    (N, num_classes). `channels` are those of the three convolutions; the third sees a 5x5 map, so its output is 1x1.
    Dropout stands after the first fully connected layer and before its activation, as in the report.
    `init_layers="fc"` initialises the two fully connected layers alone. Raises ValueError for other image sizes.
    """

    def __init__(
        self,
        in_channels: int,
        image_size: int,
        num_classes: int,
        channels: list[int],
        activation: Activation = "tanh",
        pool: Pool = "avg",
        batchnorm: bool = False,
        dropout: float = 0.0,
        init: Init = "default",
        init_layers: Literal["all", "fc"] = "all",
        std: float = 0.01,
    ) -> None:
        if image_size not in (28, 32):
            raise ValueError(f"image_size={image_size}: lenet5 takes 28 or 32 pixels; set dataset.image_size=32")
        check_widths("channels", channels, count=3)
        check_dropout(dropout)
        act = ACTIVATIONS[activation]

        def block(n_in: int, n_out: int, padding: int = 0) -> list[nn.Module]:
            norm = [nn.BatchNorm2d(n_out)] if batchnorm else []
            return [Conv2d(n_in, n_out, kernel_size=5, padding=padding), *norm, act()]

        c1, c2, c3 = channels
        convs = [
            *block(in_channels, c1, padding=(32 - image_size) // 2),
            POOLS[pool](2),
            *block(c1, c2),
            POOLS[pool](2),
            *block(c2, c3),
        ]
        drop = [nn.Dropout(dropout)] if dropout else []
        head = [nn.Linear(c3, 84), *drop, act(), nn.Linear(84, num_classes)]
        super().__init__(*convs, nn.Flatten(), *head)
        for module in self.modules() if init_layers == "all" else head:
            init_weights(module, init, std)
