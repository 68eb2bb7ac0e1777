"""The reports' nets, as their YAML builds them: parameters, shapes, order of layers, and what is refused."""

import pytest
import torch
from composing import part
from torch import nn

from dlhw.errors import UserError
from dlhw.model.fc import FC
from dlhw.model.layers import ACTIVATIONS, POOLS
from dlhw.model.lenet5 import LeNet5

COLOUR_32 = ("dataset.in_channels=3", "dataset.image_size=32")

# What a person counts by hand: weights + biases of each layer, and two numbers a channel of batch norm.
PARAMETERS = {
    ("model=fc",): (784 * 512 + 512) + (512 * 10 + 10),
    ("model=fc", "model.hidden=[128,64]"): (784 * 128 + 128) + (128 * 64 + 64) + (64 * 10 + 10),
    ("model=fc", "model.hidden=[256,128,64,32]", "model.batchnorm=true"): (
        (784 * 256 + 256 + 2 * 256)
        + (256 * 128 + 128 + 2 * 128)
        + (128 * 64 + 64 + 2 * 64)
        + (64 * 32 + 32 + 2 * 32)
        + (32 * 10 + 10)
    ),
    ("model=fc", "model.hidden=[]"): 784 * 10 + 10,
    ("model=fc", *COLOUR_32): (3072 * 512 + 512) + (512 * 10 + 10),
    ("model=lenet5",): 156 + 2416 + 48120 + 10164 + 850,
    ("model=lenet5", "model.channels=[32,64,256]", "model.batchnorm=true"): (
        (32 * 25 + 32 + 2 * 32)
        + (64 * 32 * 25 + 64 + 2 * 64)
        + (256 * 64 * 25 + 256 + 2 * 256)
        + (256 * 84 + 84)
        + (84 * 10 + 10)
    ),
    ("model=lenet5", *COLOUR_32): (6 * 3 * 25 + 6) + 2416 + 48120 + 10164 + 850,
}


@pytest.mark.parametrize(("overrides", "expected"), PARAMETERS.items(), ids=lambda value: str(value))
def test_parameters_are_those_counted_by_hand(overrides, expected):
    assert sum(p.numel() for p in part("model", *overrides).parameters()) == expected


def test_the_totals_that_the_reports_nets_have():
    """Added up once more, so that a slip in the products above shows."""
    assert [*PARAMETERS.values()] == [407050, 109386, 245482, 7850, 1578506, 61706, 485094, 62006]


@pytest.mark.parametrize("image_size", [28, 32])
@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("model", ["fc", "lenet5"])
def test_shapes(model, in_channels, image_size):
    size = (f"dataset.in_channels={in_channels}", f"dataset.image_size={image_size}")
    net = part("model", f"model={model}", "model.batchnorm=true", *size)
    assert net(torch.zeros(4, in_channels, image_size, image_size)).shape == (4, 10)


def test_lenet5_feature_maps_are_lecuns():
    """28 padded to 32, or 32 as it is: 28, 14, 10, 5, 1 pixels a side."""
    for image_size in (28, 32):
        net = part("model", "model=lenet5", f"dataset.image_size={image_size}")
        maps, sides = torch.zeros(1, 1, image_size, image_size), []
        for layer in net:
            maps = layer(maps)
            if isinstance(layer, nn.Conv2d | nn.AvgPool2d):
                sides.append(maps.shape[-1])
        assert sides == [28, 14, 10, 5, 1]


def kinds(net: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in net]


def test_fc_order_of_layers():
    net = part("model", "model=fc", "model.hidden=[8,6]", "model.batchnorm=true", "model.dropout=0.5")
    block = ["Linear", "BatchNorm1d", "ReLU", "Dropout"]
    assert kinds(net) == ["Flatten", *block, *block, "Linear"]
    assert net[4].p == 0.5


def test_fc_output_activation_and_width():
    """What a value between 0 and 1 takes, and one rounded output for ten classes."""
    net = part("model", "model=fc", "model.hidden=[8]", "model.output_activation=sigmoid", "model.out_features=1")
    assert kinds(net) == ["Flatten", "Linear", "ReLU", "Linear", "Sigmoid"]
    outputs = net(100 * torch.randn(50, 1, 28, 28))
    assert outputs.shape == (50, 1)
    assert ((outputs >= 0) & (outputs <= 1)).all()
    assert kinds(part("model", "model=fc", "model.hidden=[8]"))[-1] == "Linear"


@pytest.mark.parametrize(
    ("dataset", "in_features", "out_features"),
    [("xor", 2, 1), ("toy", 4, 3), ("digits", 784, 10), ("cifar10", 3072, 10)],
)
def test_fc_takes_its_widths_from_the_data_set(dataset, in_features, out_features):
    net = part("model", "model=fc", f"dataset={dataset}", "model.hidden=[]")
    assert (net[1].in_features, net[1].out_features) == (in_features, out_features)


def test_lenet5_order_of_layers():
    net = part("model", "model=lenet5", "model.batchnorm=true", "model.dropout=0.3", "model.pool=max")
    conv = ["Conv2d", "BatchNorm2d", "Tanh"]
    head = ["Flatten", "Linear", "Dropout", "Tanh", "Linear"]
    assert kinds(net) == [*conv, "MaxPool2d", *conv, "MaxPool2d", *conv, *head]
    assert net[13].p == 0.3


def test_nothing_stands_in_a_net_that_was_not_asked_for():
    assert kinds(part("model", "model=fc", "model.hidden=[8]")) == ["Flatten", "Linear", "ReLU", "Linear"]
    conv = ["Conv2d", "Tanh"]
    lenet5 = [*conv, "AvgPool2d", *conv, "AvgPool2d", *conv, "Flatten", "Linear", "Tanh", "Linear"]
    assert kinds(part("model", "model=lenet5")) == lenet5


EXPECTED_ACTIVATIONS = {
    "relu": nn.functional.relu,
    "leaky_relu": lambda x: torch.where(x > 0, x, 0.01 * x),
    "tanh": torch.tanh,
    "sigmoid": lambda x: 1 / (1 + torch.exp(-x)),
    "silu": lambda x: x / (1 + torch.exp(-x)),
    "log_sigmoid": lambda x: -torch.log1p(torch.exp(-x)),
    "gelu": lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5)),
}


def test_every_activation_and_pool_is_covered_here():
    assert set(EXPECTED_ACTIVATIONS) == set(ACTIVATIONS)
    assert set(POOLS) == {"avg", "max"}


@pytest.mark.parametrize("name", EXPECTED_ACTIVATIONS)
@pytest.mark.parametrize("model", ["fc", "lenet5"])
def test_activation_by_name(model, name):
    net = part("model", f"model={model}", f"model.activation={name}").double()
    layers = [layer for layer in net if type(layer) is ACTIVATIONS[name]]
    assert len(layers) == {"fc": 1, "lenet5": 4}[model]
    x = torch.linspace(-5, 5, 41, dtype=torch.float64)
    torch.testing.assert_close(layers[0](x), EXPECTED_ACTIVATIONS[name](x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("pool", "expected"), [("avg", 2.5), ("max", 4.0)])
def test_pool_by_name(pool, expected):
    layers = [layer for layer in part("model", "model=lenet5", f"model.pool={pool}") if type(layer) is POOLS[pool]]
    assert len(layers) == 2
    assert layers[0](torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).item() == expected


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("model=fc", "model.hidden=[0]"), "hidden=[0]: must be each at least 1"),
        (("model=fc", "model.hidden=[8,-1]"), "hidden=[8, -1]: must be each at least 1"),
        (("model=fc", "model.dropout=1"), "dropout=1: must be at least 0 and below 1"),
        (("model=fc", "model.dropout=-0.1"), "dropout=-0.1: must be at least 0 and below 1"),
        (("model=lenet5", "model.channels=[6,16]"), "channels=[6, 16]: must be 3 whole numbers, each at least 1"),
        (("model=lenet5", "model.channels=[6,16,0]"), "channels=[6, 16, 0]: must be 3 whole numbers"),
        (("model=lenet5", "model.dropout=1.5"), "dropout=1.5: must be at least 0 and below 1"),
        (("model=lenet5", "dataset.image_size=30"), "image_size=30: lenet5 takes 28 or 32 pixels"),
    ],
    ids=str,
)
def test_refused(overrides, words):
    with pytest.raises(UserError) as refusal:
        part("model", *overrides)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: FC(4, 2, [0]),
        lambda: FC(4, 2, [3], dropout=1.0),
        lambda: LeNet5(1, 27, 10, [6, 16, 120]),
        lambda: LeNet5(1, 28, 10, [6, 16, 120, 4]),
        lambda: LeNet5(1, 28, 10, [6, 16, 120], dropout=-1.0),
    ],
)
def test_constructors_raise_value_errors(make):
    with pytest.raises(ValueError, match=r"^\w+=.*: "):
        make()
