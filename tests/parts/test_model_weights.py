"""Initialisation, gradients, and LeNet-5 against the report's own module."""

import math

import pytest
import torch
from torch import nn

from dlhw.model.fc import FC
from dlhw.model.layers import ACTIVATIONS
from dlhw.model.lenet5 import LeNet5


def fc(**options) -> FC:
    torch.manual_seed(0)
    return FC(784, 10, [512], **options)


def lenet5(channels=(32, 64, 256), **options) -> LeNet5:
    torch.manual_seed(0)
    return LeNet5(1, 28, 10, list(channels), **options)


def weighted(net: nn.Module) -> list[nn.Linear | nn.Conv2d]:
    return [layer for layer in net if isinstance(layer, nn.Linear | nn.Conv2d)]


def fans(weight: torch.Tensor) -> tuple[int, int]:
    """Inputs and outputs that one weight's layer joins: for a convolution, times the kernel's places."""
    places = math.prod(weight.shape[2:])
    return weight.shape[1] * places, weight.shape[0] * places


BOUNDS = {
    "xavier_uniform": lambda fan_in, fan_out: math.sqrt(6 / (fan_in + fan_out)),
    "kaiming_uniform": lambda fan_in, fan_out: math.sqrt(6 / fan_in),
    "default": lambda fan_in, fan_out: 1 / math.sqrt(fan_in),  # torch's own: kaiming_uniform with a=sqrt(5)
}


@pytest.mark.parametrize("init", BOUNDS)
@pytest.mark.parametrize("make", [fc, lenet5])
def test_uniform_inits_fill_their_interval_evenly(make, init):
    for layer in weighted(make(init=init)):
        weight, bound = layer.weight.detach().double(), BOUNDS[init](*fans(layer.weight))
        n = weight.numel()
        assert weight.abs().max() <= bound * (1 + 1e-6)
        assert weight.abs().max() > bound * (1 - 20 / n)  # chance of failing: e**-20
        # five standard errors of the mean, and of the variance, of n uniform numbers
        assert abs(weight.mean()) < 5 * bound / math.sqrt(3 * n)
        assert abs(weight.var() / (bound**2 / 3) - 1) < 5 * math.sqrt(0.8 / n)


@pytest.mark.parametrize("init", ["xavier_uniform", "kaiming_uniform"])
@pytest.mark.parametrize("make", [fc, lenet5])
def test_uniform_inits_leave_torchs_biases(make, init):
    for drawn, default in zip(weighted(make(init=init)), weighted(make()), strict=True):
        assert torch.equal(drawn.bias, default.bias)
        assert not torch.equal(drawn.weight, default.weight)


@pytest.mark.parametrize("std", [0.01, 0.5])
@pytest.mark.parametrize("make", [fc, lenet5])
def test_normal_init(make, std):
    for layer in weighted(make(init="normal", std=std)):
        weight = layer.weight.detach().double()
        n = weight.numel()
        assert abs(weight.mean()) < 5 * std / math.sqrt(n)
        assert abs(weight.std() / std - 1) < 5 / math.sqrt(2 * n)
        beyond_two = (weight.abs() > 2 * std).double().mean()
        assert abs(beyond_two - 0.0455) < 5 * math.sqrt(0.0455 / n)  # a uniform distribution has none there
        assert not layer.bias.any()


@pytest.mark.parametrize("make", [fc, lenet5])
def test_zeros_init(make):
    for layer in weighted(make(init="zeros")):
        assert not layer.weight.any()
        assert not layer.bias.any()


@pytest.mark.parametrize("init", ["xavier_uniform", "kaiming_uniform", "normal", "zeros"])
def test_init_layers_fc_leaves_the_convolutions_at_torchs_default(init):
    plain, some, every = lenet5(), lenet5(init=init, init_layers="fc"), lenet5(init=init, init_layers="all")
    for default, drawn, all_drawn in zip(weighted(plain), weighted(some), weighted(every), strict=True):
        is_conv = isinstance(default, nn.Conv2d)
        assert torch.equal(default.weight, drawn.weight) is is_conv
        assert torch.equal(default.bias, drawn.bias) is (is_conv or "uniform" in init)
        assert not torch.equal(default.weight, all_drawn.weight)


def test_default_init_is_that_of_the_same_net_in_plain_torch():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10))
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), fc().parameters(), strict=True))


def test_batch_norm_is_left_alone_by_every_init():
    for init in ("default", "xavier_uniform", "kaiming_uniform", "normal", "zeros"):
        net = FC(8, 2, [4], batchnorm=True, init=init)
        assert torch.equal(net[2].weight, torch.ones(4))
        assert torch.equal(net[2].bias, torch.zeros(4))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batchnorm", [False, True])
@pytest.mark.parametrize("pool", ["fc", "avg", "max"])
def test_gradient_reaches_every_parameter(pool, batchnorm, activation):
    options = {"activation": activation, "batchnorm": batchnorm}
    net = fc(**options) if pool == "fc" else lenet5((6, 16, 120), pool=pool, **options)
    net.double()
    layers = list(net)
    inputs = torch.rand(16, 1, 28, 28, dtype=torch.float64)
    nn.functional.cross_entropy(net(inputs), torch.arange(16) % 10).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        # batch norm takes its inputs' mean away, so the bias before it cannot matter: its gradient is rounding
        layer, _, kind = name.partition(".")
        follower = type(layers[int(layer) + 1]).__name__ if int(layer) + 1 < len(layers) else ""
        if kind == "weight" or not follower.startswith("BatchNorm"):
            assert parameter.grad.abs().max() > 1e-9, name


class ReportLenet5(nn.Module):
    """Report 004's own module, line by line (its names, its forward), with the image size and channels open."""

    def __init__(self, first, second, third, use_batchnorm, activation_function, pooling_layer, use_dropout, padding=2):
        super().__init__()
        self.con1 = nn.Conv2d(1, first, kernel_size=5, stride=1, padding=padding)
        self.con2 = nn.Conv2d(first, second, kernel_size=5, stride=1)
        self.con3 = nn.Conv2d(second, third, kernel_size=5, stride=1)
        self.use_batchnorm = use_batchnorm
        if use_batchnorm:  # the report makes them in any case; there they would only add unused parameters
            self.batchnorm1 = nn.BatchNorm2d(first)
            self.batchnorm2 = nn.BatchNorm2d(second)
            self.batchnorm3 = nn.BatchNorm2d(third)
        self.activation_function = {"tanh": nn.Tanh(), "relu": nn.ReLU(), "leaky_relu": nn.LeakyReLU()}[
            activation_function
        ]
        self.pooling_layer = {"avg": nn.AvgPool2d(2), "max": nn.MaxPool2d(2)}[pooling_layer]
        self.fc1 = nn.Linear(third, 84)
        self.fc2 = nn.Linear(84, 10)
        self.dropout = nn.Dropout(0.3)
        self.use_dropout = use_dropout

    def forward(self, x):
        x = self.con1(x)
        if self.use_batchnorm:
            x = self.batchnorm1(x)
        x = self.activation_function(x)
        x = self.pooling_layer(x)
        x = self.con2(x)
        if self.use_batchnorm:
            x = self.batchnorm2(x)
        x = self.activation_function(x)
        x = self.pooling_layer(x)
        x = self.con3(x)
        if self.use_batchnorm:
            x = self.batchnorm3(x)
        x = self.activation_function(x)
        x = x.reshape(x.shape[0], -1)
        x = self.fc1(x)
        if self.use_dropout:
            x = self.dropout(x)
        x = self.activation_function(x)
        return self.fc2(x)


def in_order_of_use(net: ReportLenet5) -> list[torch.Tensor]:
    """The module's tensors in the order in which `forward` uses their layers."""
    layers = [net.con1, net.con2, net.con3]
    if net.use_batchnorm:
        norms = [net.batchnorm1, net.batchnorm2, net.batchnorm3]
        layers = [layer for pair in zip(layers, norms, strict=True) for layer in pair]
    return [tensor for layer in [*layers, net.fc1, net.fc2] for tensor in layer.state_dict().values()]


@pytest.mark.parametrize("image_size", [28, 32])
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("pool", ["avg", "max"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "leaky_relu"])
@pytest.mark.parametrize("batchnorm", [False, True])
def test_lenet5_equals_the_reports_module(batchnorm, activation, pool, dropout, image_size):
    channels = (32, 64, 256) if batchnorm else (6, 16, 120)
    torch.manual_seed(1)
    padding = (32 - image_size) // 2
    oracle = ReportLenet5(*channels, batchnorm, activation, pool, dropout, padding).double()
    ours = LeNet5(
        1,
        image_size,
        10,
        list(channels),
        activation=activation,
        pool=pool,
        batchnorm=batchnorm,
        dropout=0.3 if dropout else 0.0,
    ).double()
    theirs = in_order_of_use(oracle)
    ours.load_state_dict({name: t.clone() for name, t in zip(ours.state_dict(), theirs, strict=True)})

    inputs, targets = torch.rand(8, 1, image_size, image_size, dtype=torch.float64), torch.arange(8)
    gradients = []
    for net in (oracle, ours):
        torch.manual_seed(2)  # the same dropout
        outputs = net(inputs)
        nn.functional.cross_entropy(outputs, targets).backward()
        gradients.append([outputs.detach(), sum(p.grad.square().sum() for p in net.parameters())])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-12, atol=1e-12)
    # ... and once more in evaluation, with the batch statistics that the step above has moved
    torch.testing.assert_close(ours.eval()(inputs), oracle.eval()(inputs), rtol=1e-12, atol=1e-12)
