"""ConvNet: the reports' nets as settings of it, its sizes, and what it refuses."""

import pytest
import torch
from nets import CLASSIFIERS, count
from torch import nn

from dlhw.model.convnet import ConvNet


def kinds(net):
    return [type(layer).__name__ for layer in net]


def test_simple_convnet_is_the_reports():
    net = CLASSIFIERS["simple_convnet"](1, 28)
    assert kinds(net) == ["Conv2d", "ReLU", "MaxPool2d", "Flatten", "Linear", "ReLU", "Linear"]
    assert count(net) == (30 * 25 + 30) + (30 * 12 * 12 * 100 + 100) + (100 * 10 + 10) == 433890
    for layer in net:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert not layer.bias.any()
            assert layer.weight.std().item() == pytest.approx(0.01, rel=0.15)


def test_the_framework_cnn():
    net = CLASSIFIERS["cnn"](1, 28)
    block = ["Conv2d", "ReLU", "MaxPool2d"]
    assert kinds(net) == [*block, *block, "Flatten", "Linear", "ReLU", "Dropout", "Linear"]
    assert count(net) == (32 * 25 + 32) + (64 * 32 * 25 + 64) + (7 * 7 * 64 * 1024 + 1024) + (1024 * 10 + 10) == 3274634


def test_order_within_a_block_and_one_value_a_block():
    net = CLASSIFIERS["cnn_changed"](1, 28)
    block = ["Conv2d", "BatchNorm2d", "ReLU"]
    expected = [*block, "Dropout", *block, "MaxPool2d", "Dropout", *block, "Dropout", *block, "AvgPool2d", "Dropout"]
    assert kinds(net)[: len(expected)] == expected
    net = ConvNet(1, 28, 10, [4, 5, 6], [], [3, 5, 1], [1, 0, 2], "none")
    convs = [layer for layer in net if isinstance(layer, nn.Conv2d)]
    assert [c.kernel_size[0] for c in convs] == [3, 5, 1]
    assert [c.padding[0] for c in convs] == [1, 0, 2]
    assert net[-1].in_features == 6 * 28 * 28


@pytest.mark.parametrize("image_size", range(6, 20))
@pytest.mark.parametrize("pool", ["max", "none"])
@pytest.mark.parametrize(("kernel_size", "padding"), [(3, 0), (4, 1), (5, 3)])
def test_the_head_is_as_wide_as_the_maps_that_reach_it(kernel_size, padding, pool, image_size):
    """The arithmetic of sizes against torch's own, or its refusal."""
    try:
        net = ConvNet(2, image_size, 3, [4, 4], [], kernel_size, padding, pool)
    except ValueError:
        net = nn.Sequential(*list(ConvNet(2, 64, 3, [4, 4], [], kernel_size, padding, pool))[:-2])
        with pytest.raises(RuntimeError):
            net(torch.zeros(1, 2, image_size, image_size))
    else:
        assert net(torch.zeros(1, 2, image_size, image_size)).shape == (1, 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image_size": 8, "kernel_size": 5, "padding": 0}, "image_size=8: too small for 2 blocks: block 2 gets 2"),
        ({"kernel_size": [3]}, "kernel_size=[3]: must be one value, or 2, as many as channels"),
        ({"pool": ["max"] * 3}, "pool=['max', 'max', 'max']: must be one value, or 2"),
        ({"kernel_size": 0}, "kernel_size=0: must be at least 1"),
        ({"padding": [0, -1]}, "padding=[0, -1]: must be at least 0"),
        ({"channels": [4, 0]}, "channels=[4, 0]: must be each at least 1"),
        ({"hidden": [0]}, "hidden=[0]: must be each at least 1"),
        ({"dropout": 1.0}, "dropout=1.0: must be at least 0 and below 1"),
        ({"conv_dropout": -1.0}, "conv_dropout=-1.0: must be at least 0 and below 1"),
    ],
    ids=str,
)
def test_refused(options, words):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        ConvNet(**{"in_channels": 1, "image_size": 28, "num_classes": 10, "channels": [4, 4], "hidden": [8], **options})
    assert str(refusal.value).startswith(words)
    assert "\n" not in str(refusal.value)
