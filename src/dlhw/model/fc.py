"""A fully connected net of any depth."""

from itertools import pairwise

from torch import nn

from dlhw.model.layers import ACTIVATIONS, Activation, Init, check_dropout, check_widths, init_weights


class FC(nn.Sequential):
    """Affine, batch norm (if asked), activation and dropout for each hidden width, then one affine layer.

    Takes (N, ...) with `in_features` values a sample, returns raw outputs (N, out_features).
    `std` is the standard deviation of `init="normal"`. Raises ValueError for widths below 1, or dropout outside [0, 1).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: list[int],
        activation: Activation = "relu",
        batchnorm: bool = False,
        dropout: float = 0.0,
        output_activation: Activation | None = None,
        init: Init = "default",
        std: float = 0.01,
    ) -> None:
        check_widths("hidden", hidden)
        check_dropout(dropout)
        layers: list[nn.Module] = [nn.Flatten()]
        for n_in, n_out in pairwise([in_features, *hidden]):
            layers.append(nn.Linear(n_in, n_out))
            layers += [nn.BatchNorm1d(n_out)] if batchnorm else []
            layers.append(ACTIVATIONS[activation]())
            layers += [nn.Dropout(dropout)] if dropout else []
        layers.append(nn.Linear([in_features, *hidden][-1], out_features))
        layers += [ACTIVATIONS[output_activation]()] if output_activation else []
        super().__init__(*layers)
        for module in self.modules():
            init_weights(module, init, std)
