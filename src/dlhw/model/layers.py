"""What several models name in their YAML: activations, poolings and initialisations."""

from typing import Literal

from torch import nn

from dlhw.model.faster import AvgPool2d

Activation = Literal["relu", "leaky_relu", "tanh", "sigmoid", "silu", "log_sigmoid", "gelu"]
Pool = Literal["avg", "max"]
Init = Literal["default", "xavier_uniform", "kaiming_uniform", "normal", "zeros"]

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "log_sigmoid": nn.LogSigmoid,
    "gelu": nn.GELU,
}
POOLS: dict[Pool, type[nn.Module]] = {"avg": AvgPool2d, "max": nn.MaxPool2d}


def init_weights(module: nn.Module, init: Init, std: float) -> None:
    """Initialise one linear or convolutional layer in place; other modules are left as they are.

    The uniform inits draw the weights and leave torch's default biases, as the reports do; `normal` (mean 0, standard
    deviation `std`) and `zeros` set the biases to zero. kaiming_uniform is He's for relu.
    """
    if init == "default" or not isinstance(module, nn.Linear | nn.Conv2d):
        return
    if init == "xavier_uniform":
        nn.init.xavier_uniform_(module.weight)
    elif init == "kaiming_uniform":
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
    else:
        nn.init.normal_(module.weight, std=std) if init == "normal" else nn.init.zeros_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def check_dropout(dropout: float, name: str = "dropout") -> None:
    if not 0 <= dropout < 1:
        raise ValueError(f"{name}={dropout}: must be at least 0 and below 1")


def check_at_least(minimum: int, **sizes: int) -> None:
    for name, size in sizes.items():
        if size < minimum:
            raise ValueError(f"{name}={size}: must be at least {minimum}")


def check_widths(name: str, widths: list[int], count: int | None = None) -> None:
    if any(width < 1 for width in widths) or (count is not None and len(widths) != count):
        wanted = "each at least 1" if count is None else f"{count} whole numbers, each at least 1"
        raise ValueError(f"{name}={widths}: must be {wanted}")
