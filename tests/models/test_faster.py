"""Layers that compute in another way are torch's layers: outputs, gradients, names."""

import pytest
import torch
from torch import Tensor, nn

from dlhw.model import faster

FORMATS = [torch.contiguous_format, torch.channels_last]


def same(ours: nn.Module, torchs: nn.Module, inputs: Tensor) -> Tensor:
    """Compare them on the same weights, in float64; returns the outputs."""
    assert ours.state_dict().keys() == torchs.state_dict().keys()
    assert repr(ours) == repr(torchs)
    ours.load_state_dict(torchs.state_dict())
    results = []
    for module in (ours, torchs):
        x = inputs.clone(memory_format=torch.preserve_format).requires_grad_()
        y = module(x)
        weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
        results.append([y, *torch.autograd.grad((weights * y).sum(), [x, *module.parameters()])])
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)
    return results[0][0]


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize(
    ("options", "size", "multiplied"),
    [
        ({"kernel_size": 5}, (5, 5), True),
        ({"kernel_size": (5, 3), "bias": False}, (5, 3), True),
        ({"kernel_size": 5, "stride": 2}, (5, 5), True),
        ({"kernel_size": 1}, (1, 1), True),
        ({"kernel_size": 5}, (6, 5), False),
        ({"kernel_size": 3, "padding": 1}, (3, 3), False),
        ({"kernel_size": 3, "padding": "same"}, (3, 3), False),
        ({"kernel_size": 3, "groups": 2}, (3, 3), False),
    ],
)
def test_convolutions(options, size, multiplied, memory_format, monkeypatch):
    torch.manual_seed(0)
    ours, torchs = (kind(4, 6, dtype=torch.float64, **options) for kind in (faster.Conv2d, nn.Conv2d))
    products = []
    linear = torch.nn.functional.linear
    monkeypatch.setattr(torch.nn.functional, "linear", lambda *args: products.append(1) or linear(*args))
    inputs = torch.randn(3, 4, *size, dtype=torch.float64)
    outputs = same(ours.to(memory_format=memory_format), torchs, inputs.to(memory_format=memory_format))
    assert bool(products) is multiplied
    if multiplied:
        assert outputs.shape == (3, 6, 1, 1)


def test_dilated_kernels_cover_more_than_their_size():
    same(*(kind(2, 3, 3, dilation=2, dtype=torch.float64) for kind in (faster.Conv2d, nn.Conv2d)),
         torch.randn(2, 2, 5, 5, dtype=torch.float64))  # fmt: skip


def test_a_sample_without_a_batch():
    same(*(kind(2, 3, 4, dtype=torch.float64) for kind in (faster.Conv2d, nn.Conv2d)),
         torch.randn(2, 4, 4, dtype=torch.float64))  # fmt: skip
    same(faster.AvgPool2d(2), nn.AvgPool2d(2), torch.randn(2, 4, 4, dtype=torch.float64))


def test_what_torch_refuses_is_refused():
    with pytest.raises(RuntimeError, match="Kernel size can't be greater than actual input size"):
        faster.Conv2d(2, 3, 3, dilation=2)(torch.ones(1, 2, 3, 3))
    with pytest.raises(RuntimeError):
        faster.Conv2d(2, 3, 3)(torch.ones(1, 4, 3, 3))


def test_convolutions_of_stacked_weights():
    """As lanes train them."""
    layers = [faster.Conv2d(2, 3, 4).to(memory_format=torch.channels_last) for _ in range(3)]
    params, _ = torch.func.stack_module_state(layers)
    inputs = torch.randn(3, 5, 2, 4, 4)
    stacked = torch.vmap(lambda params, x: torch.func.functional_call(layers[0], params, (x,)))(params, inputs)
    torch.testing.assert_close(stacked, torch.stack([layer(x) for layer, x in zip(layers, inputs, strict=True)]))


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("size", [(8, 8), (7, 10), (2, 3)])
def test_halving(size, memory_format):
    inputs = torch.randn(3, 6, *size, dtype=torch.float64).to(memory_format=memory_format)
    same(faster.AvgPool2d(2), nn.AvgPool2d(2), inputs)


@pytest.mark.parametrize(
    "options", [{"kernel_size": 3}, {"kernel_size": 2, "stride": 1}, {"kernel_size": 2, "padding": 1},
                {"kernel_size": 2, "ceil_mode": True}, {"kernel_size": 2, "divisor_override": 3}]
)  # fmt: skip
def test_other_pooling_is_torchs(options):
    same(faster.AvgPool2d(**options), nn.AvgPool2d(**options), torch.randn(2, 3, 7, 7, dtype=torch.float64))


def test_what_is_not_finite_stays_where_it_is():
    inputs = torch.ones(1, 1, 4, 6)
    inputs[0, 0, 0, 0], inputs[0, 0, 3, 5] = float("inf"), float("nan")
    torch.testing.assert_close(faster.AvgPool2d(2)(inputs), nn.AvgPool2d(2)(inputs), equal_nan=True)
