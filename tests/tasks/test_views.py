"""Views of a net's inside: right numbers, and a net that is as it was before it was looked at."""

import copy

import numpy as np
import pytest
import torch
from made_tasks import seeded
from torch import nn

from dlhw.model.convnet import ConvNet
from dlhw.model.fc import FC
from dlhw.model.rnn import RNN
from dlhw.views import BINS, MOST_FILTERS, activation_histograms, filter_outputs, first_layer, snapshot

IMAGES = torch.rand(5, 3, 8, 8, generator=seeded())


def convnet() -> nn.Module:
    torch.manual_seed(0)
    return ConvNet(3, 8, 4, [6, 5], [7], 3, 1, batchnorm=True, dropout=0.5)


def fc(hidden: int = 9, activation: str = "tanh") -> nn.Module:
    torch.manual_seed(0)
    return FC(192, 4, [hidden], activation, batchnorm=True, dropout=0.5)


def test_first_layer_of_a_convolution_is_its_kernels():
    net = convnet()
    kernels = next(m for m in net.modules() if isinstance(m, nn.Conv2d)).weight
    assert np.array_equal(first_layer(net, (3, 8, 8)), kernels.detach().numpy())


def test_first_layer_of_a_fully_connected_net_is_its_rows_as_images():
    weights = first_layer(fc(), (3, 8, 8))
    assert np.array_equal(weights.reshape(9, 192), fc()[1].weight.detach().numpy())
    assert weights.shape == (9, 3, 8, 8)
    assert first_layer(fc(200), (3, 8, 8)).shape == (MOST_FILTERS, 3, 8, 8)


@pytest.mark.parametrize(
    ("net", "input_shape"),
    [(FC(2, 1, [3]), (2,)), (RNN(1, 1, 4), (20, 1)), (nn.Conv2d(3, 4, 1), (3, 8, 8)), (nn.ReLU(), (3, 8, 8))],
    ids=["points", "windows", "1x1", "no weights"],
)
def test_no_picture_where_weights_are_no_images(net, input_shape):
    assert first_layer(net, input_shape) is None


def test_first_layer_is_a_copy():
    """Taken before training, it must not train on."""
    net = convnet()
    before = first_layer(net, (3, 8, 8))
    kept = before.copy()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 1
    assert np.array_equal(before, kept)


def test_filter_outputs_are_the_first_convolutions():
    net = convnet()
    conv = next(m for m in net.modules() if isinstance(m, nn.Conv2d))
    expected = conv(IMAGES[:1])[0].detach().numpy()
    assert np.array_equal(filter_outputs(net, IMAGES[:1]), expected)
    assert expected.shape == (6, 8, 8)
    assert filter_outputs(fc(), IMAGES[:1]) is None


def test_no_filter_outputs_where_the_first_convolution_by_name_takes_something_else():
    class Shuffled(nn.Module):
        def __init__(self):
            super().__init__()
            self.second = nn.Conv2d(5, 4, 3)
            self.first = nn.Conv2d(3, 5, 3)

    assert filter_outputs(Shuffled(), IMAGES[:1]) is None
    assert filter_outputs(convnet(), IMAGES[:1, :, 0]) is None


class Twice(nn.Module):
    """One activation used two times."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.relu = nn.Linear(192, 7), nn.Linear(7, 3), nn.ReLU()

    def forward(self, inputs):
        return self.relu(self.second(self.relu(self.first(inputs.flatten(1)))))


@pytest.mark.parametrize(
    ("net", "sizes"),
    [(convnet(), [6 * 64, 5 * 16, 7]), (fc(), [9]), (Twice(), [7, 3])],
    ids=["convnet", "fc", "twice"],
)
def test_counts_sum_to_the_number_of_activations(net, sizes):
    histograms = activation_histograms(net, IMAGES)
    assert histograms["counts"].shape == (len(sizes), BINS)
    assert histograms["edges"].shape == (len(sizes), BINS + 1)
    assert histograms["counts"].sum(1).tolist() == [len(IMAGES) * size for size in sizes]
    assert len(histograms["names"]) == len(sizes)
    assert (np.diff(histograms["edges"]) > 0).all()


def test_a_histogram_is_of_the_activations_in_evaluation():
    net = fc()
    with torch.no_grad():
        values = nn.Sequential(*copy.deepcopy(net).eval().children())[:4](IMAGES).numpy()
    histograms = activation_histograms(net, IMAGES)
    counts, edges = np.histogram(values.astype(np.float64), BINS)
    assert histograms["names"].tolist() == ["3 Tanh"]
    assert np.array_equal(histograms["counts"][0], counts)
    assert histograms["edges"][0] == pytest.approx(edges)


def test_nets_without_an_activation_have_none():
    assert activation_histograms(nn.Linear(8, 2), IMAGES) == {}
    assert set(snapshot(nn.Linear(8, 2), IMAGES, "before")) == set()


class Gives(nn.Module):
    """An activation of chosen values."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values, self.act = torch.tensor(values), nn.LeakyReLU(1.0)

    def forward(self, inputs):
        return self.act(self.values)


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ((0.5, 0.5), 2),
        ((0.5, 0.5 + 2**-24), 2),  # neighbours in float32
        ((1e30, 1e30), 2),
        ((-3e38, 3e38), 2),
        ((1.0, float("inf"), float("nan"), 2.0), 2),
        ((float("nan"),), 0),
        ((1e-45, 0.0), 2),
    ],
    ids=str,
)
def test_any_values_have_a_histogram(values, count):
    """So that a run whose weights have blown up at the last step still ends with its figures."""
    histograms = activation_histograms(Gives(*values), IMAGES)
    assert histograms["counts"].sum() == count
    assert np.isfinite(histograms["edges"]).all()
    assert (np.diff(histograms["edges"]) > 0).all()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", [convnet, fc], ids=["convnet", "fc"])
def test_looking_changes_nothing(make, training):
    """Weights, batch statistics, mode (also that of a part which stays in evaluation), gradients, random state."""
    net = make().train(training)
    part = next(m for m in net.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)).eval()
    before, rng = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    modes = [m.training for m in net.modules()]
    snapshot(net, IMAGES, "before")
    filter_outputs(net, IMAGES[:1])
    assert all(torch.equal(tensor, net.state_dict()[name]) for name, tensor in before.items())
    assert [m.training for m in net.modules()] == modes
    assert not part.training
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(p.grad is None for p in net.parameters())
    assert not any(m._forward_hooks for m in net.modules())


def test_a_snapshot_bears_the_moment_in_its_names():
    views = {**snapshot(convnet(), IMAGES, "before"), **snapshot(convnet(), IMAGES, "after")}
    shared = {f"{name}_{when}" for when in ("before", "after") for name in ("activation_edges", "activation_counts")}
    assert set(views) == {"activation_names", "first_layer_before", "first_layer_after", *shared}
