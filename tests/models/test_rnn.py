"""RNN against recurrences written by hand, in float64."""

import pytest
import torch
from nets import count

from dlhw.model.rnn import RNN


def layers_by_hand(net, windows, step):
    """Each layer's outputs, all steps: (T, N, H)."""
    sequence = windows.transpose(0, 1)
    for layer in range(net.rnn.num_layers):
        w_in, w_h, b_in, b_h = (
            getattr(net.rnn, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        state = torch.zeros(2, len(windows), net.rnn.hidden_size, dtype=torch.float64)
        outputs = []
        for x in sequence:
            state = step(x @ w_in.T + b_in, state[0] @ w_h.T + b_h, state)
            outputs.append(state[0])
        sequence = torch.stack(outputs)
    return sequence


def tanh_step(x, h, state):
    return torch.stack([torch.tanh(x + h), state[1]])


def gru_step(x, h, state):
    (xr, xz, xn), (hr, hz, hn) = x.chunk(3, 1), h.chunk(3, 1)
    z = torch.sigmoid(xz + hz)
    return torch.stack([(1 - z) * torch.tanh(xn + torch.sigmoid(xr + hr) * hn) + z * state[0], state[1]])


def lstm_step(x, h, state):
    i, f, g, o = (x + h).chunk(4, 1)
    cell = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.stack([torch.sigmoid(o) * torch.tanh(cell), cell])


STEPS = {"rnn": tanh_step, "gru": gru_step, "lstm": lstm_step}


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cell", STEPS)
def test_outputs_and_gradients_are_the_recurrences(cell, num_layers):
    net = RNN(2, 3, 5, num_layers, cell).double()
    windows = torch.randn(4, 9, 2, dtype=torch.float64)
    expected = layers_by_hand(net, windows, STEPS[cell])[-1] @ net.head.weight.T + net.head.bias
    torch.testing.assert_close(net(windows), expected, rtol=1e-12, atol=1e-12)
    parameters = list(net.parameters())
    ours = torch.autograd.grad(net(windows).square().sum(), parameters)
    theirs = torch.autograd.grad(expected.square().sum(), parameters)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("cell", "gates", "total"), [("rnn", 1, 1153), ("gru", 3, 3393), ("lstm", 4, 4513)])
def test_parameters(cell, gates, total):
    assert count(RNN(1, 1, cell=cell)) == gates * (32 * 1 + 32 * 32 + 2 * 32) + 33 == total


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dropout": 0.2}, "dropout=0.2: stands between layers, so num_layers has to be 2 or more"),
        ({"hidden_size": 0}, "hidden_size=0: must be at least 1"),
        ({"num_layers": 0}, "num_layers=0: must be at least 1"),
        ({"num_layers": 2, "dropout": 1.0}, "dropout=1.0: must be at least 0 and below 1"),
    ],
)
def test_refused(options, words):
    with pytest.raises(ValueError, match=words):
        RNN(1, 1, **options)
