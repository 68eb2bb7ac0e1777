"""The summary: every parameter and every FLOP once, nothing disturbed, and a table that can be read."""

import pytest
import torch
from nets import CLASSIFIERS, RNNS, UNETS, count
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dlhw.model.fc import FC
from dlhw.model.lenet5 import LeNet5
from dlhw.model.resnet50 import ResNet50
from dlhw.model.rnn import RNN
from dlhw.model.vgg16 import VGG16
from dlhw.summary import LayerSummary, as_table, fold, summarize

NETS = {
    "fc": (lambda: FC(784, 10, [32], batchnorm=True), (1, 1, 28, 28)),
    "lenet5": (lambda: LeNet5(1, 28, 10, [6, 16, 120], dropout=0.3), (1, 1, 28, 28)),
    **{name: (lambda make=make: make(1, 28), (1, 1, 28, 28)) for name, make in CLASSIFIERS.items()},
    **{name: (lambda make=make: make(3, 5), (1, 3, 50, 37)) for name, make in UNETS.items()},
    **{name: (lambda make=make: make().double(), (1, 7, 2)) for name, make in RNNS.items()},
}


def sample_for(net, shape):
    return torch.rand(shape, dtype=next(net.parameters()).dtype)


@pytest.mark.parametrize("name", NETS)
def test_totals(name):
    make, shape = NETS[name]
    net = make()
    sample = sample_for(net, shape)
    rows = summarize(net, sample)
    assert sum(row.parameters for row in rows) == count(net)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        net.eval()(sample)
    assert sum(row.flops for row in rows) == counter.get_total_flops() > 0
    assert all(row.output_shape is not None for row in rows)
    assert {row.name for row in rows} <= {name for name, _ in net.named_modules()}


def test_lenet5_row_by_row():
    rows = summarize(LeNet5(1, 28, 10, [6, 16, 120]), torch.zeros(1, 1, 28, 28))
    assert [row.type for row in rows] == (
        ["Conv2d", "Tanh", "AvgPool2d"] * 2 + ["Conv2d", "Tanh", "Flatten", "Linear", "Tanh", "Linear"]
    )
    assert [row.name for row in rows] == [str(i) for i in range(12)]
    weights = [row for row in rows if row.parameters]
    assert [row.output_shape[1:] for row in weights] == [(6, 28, 28), (16, 10, 10), (120, 1, 1), (84,), (10,)]
    assert [row.parameters for row in weights] == [156, 2416, 48120, 10164, 850]
    assert [row.flops for row in weights] == [
        2 * n for n in (25 * 6 * 28**2, 6 * 25 * 16 * 100, 16 * 25 * 120, 120 * 84, 84 * 10)
    ]


@pytest.mark.parametrize("name", ["cnn", "vgg16_bn", "resnet50", "unet_bilinear", "gru"])
def test_nothing_is_disturbed(name):
    make, shape = NETS[name]
    net = make()
    next(net.modules()).train()
    next(m for m in net.modules() if m is not net and not list(m.children())).eval()  # one in another mode
    modes = [m.training for m in net.modules()]
    state = {name: t.clone() for name, t in net.state_dict().items()}
    sample = sample_for(net, shape)
    rng = torch.get_rng_state()
    summarize(net, sample)
    assert torch.equal(torch.get_rng_state(), rng)
    assert [m.training for m in net.modules()] == modes
    assert all(torch.equal(t, state[name]) for name, t in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


class Odd(nn.Module):
    """A parameter and arithmetic of its own, a layer called twice, one whose weight is shared, one never called."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4, 4))
        self.twice = nn.Linear(4, 4)
        self.tied = nn.Linear(4, 4, bias=False)
        self.tied.weight = self.twice.weight
        self.idle = nn.Linear(4, 2)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        x = self.twice(x) @ self.scale
        return self.dropout(self.tied(self.twice(x)))


def test_an_odd_net():
    rows = {row.name: row for row in summarize(Odd(), torch.zeros(1, 4))}
    assert list(rows) == ["", "twice", "tied", "dropout", "idle"]
    product = 2 * 4 * 4
    assert rows[""] == LayerSummary("", "Odd", (1, 4), 16, 16, product)
    assert rows["twice"] == LayerSummary("twice", "Linear", (1, 4), 20, 20, 2 * product)
    assert rows["tied"] == LayerSummary("tied", "Linear", (1, 4), 0, 0, product)
    assert rows["idle"] == LayerSummary("idle", "Linear", None, 10, 10, 0)
    assert "not called" in as_table(list(rows.values()))


def test_onednns_lstm_is_counted():
    """torch's counter does not see it; in float64 another kernel runs, which it sees."""
    net, windows = RNN(2, 3, 8, 2, "lstm"), torch.rand(1, 7, 2)
    flops = [row.flops for row in summarize(net, windows)]
    assert flops == [row.flops for row in summarize(net.double(), windows.double())]
    assert flops == [2 * 7 * 4 * 8 * (2 + 8 + 8 + 8), 2 * 8 * 3]


def test_a_model_that_fails_is_left_as_it_was():
    net = FC(784, 10, [8]).train()
    with pytest.raises(RuntimeError):
        summarize(net, torch.zeros(1, 5))
    assert net.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_table():
    table = as_table(summarize(FC(4, 2, [3]), torch.zeros(1, 1, 2, 2))).splitlines()
    assert table == [
        "layer  type     output  parameters  FLOPs",
        "0      Flatten  4                0      0",
        "1      Linear   3               15     24",
        "2      ReLU     3                0      0",
        "3      Linear   2                8     12",
        "total                           23     36",
    ]


def test_a_frozen_net_says_what_learns():
    rows = summarize(VGG16(1, 28, 10, freeze=True), torch.zeros(1, 1, 28, 28))
    assert as_table(rows).splitlines()[-1].split() == ["total", "5,130", "trainable", "14,727,114", "624,044,032"]


def test_a_resnet50_fits_the_screen():
    rows = summarize(ResNet50(3, 10), torch.zeros(1, 3, 32, 32))
    assert len(rows) > 120
    lines = as_table(rows).splitlines()
    assert len(lines) == 1 + 4 + 16 + 2 + 1  # head, stem, blocks, pool and fc, total
    assert lines[5].split() == ["layer1.0", "9", "layers", "256", "x", "32", "x", "32", "75,008", "150,994,944"]
    assert max(map(len, lines)) <= 100
    assert lines[-1].split()[1] == f"{count(ResNet50(3, 10)):,}"


def test_folding_keeps_the_sums():
    rows = summarize(ResNet50(3, 10), torch.zeros(1, 3, 32, 32))
    for most in (1, 10, 30, 1000):
        folded = fold(rows, most)
        assert sum(row.parameters for row in folded) == sum(row.parameters for row in rows)
        assert sum(row.flops for row in folded) == sum(row.flops for row in rows)
    assert fold(rows, 1000) == rows
