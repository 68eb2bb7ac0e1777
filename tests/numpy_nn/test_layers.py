"""Every layer against torch in float64 and against central differences."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layer_cases import CASES, arrays
from torch import nn

import dlhw.numpy_nn as numpy_nn

few = settings(max_examples=12, deadline=None)
every_case = pytest.mark.parametrize("name", CASES)


def drawn(name, data):
    return CASES[name](lambda low, high: data.draw(st.integers(low, high)))


def fixed(name, seed):
    """The same without hypothesis. Sizes are at least 1, so that every map is large enough."""
    rng = np.random.default_rng(seed)
    return CASES[name](lambda low, high: int(rng.integers(low, high, endpoint=True)))


def assert_equal(found, expected, rtol=1e-10, atol=1e-12):
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=rtol, atol=atol)


def gradient_like(y, seed=0):
    return np.random.default_rng(seed).standard_normal(y.shape)


@every_case
@few
@given(data=st.data())
def test_outputs_and_gradients_equal_torchs(name, data):
    layer, module, x = drawn(name, data)
    inputs = torch.tensor(x, requires_grad=True)
    try:
        outputs = module(inputs)
    except RuntimeError:  # nothing is left of the map
        assume(False)
    assume(outputs.numel() > 0)
    y = layer.forward(x)
    assert_equal(y, outputs)
    dy = gradient_like(y)
    outputs.backward(torch.tensor(dy))
    assert_equal(layer.backward(dy), inputs.grad)
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    assert layer.grads.keys() == layer.params.keys() == gradients.keys()
    for key, gradient in gradients.items():
        assert_equal(layer.grads[key], gradient)


def entries(array, count=6):
    """Some places of an array, spread over it."""
    flat = np.linspace(0, array.size - 1, min(count, array.size)).astype(int)
    return [np.unravel_index(i, array.shape) for i in flat]


def central_difference(loss, array, place, h=1e-6):
    value = array[place]
    array[place] = value + h
    above = loss()
    array[place] = value - h
    below = loss()
    array[place] = value
    return (above - below) / (2 * h)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", [name for name in CASES if name != "max_pool_of_equals"])  # which has no derivative
def test_gradients_agree_with_central_differences(name, seed):
    layer, _, x = fixed(name, seed)
    dy = gradient_like(layer.forward(x))
    dx = layer.backward(dy)
    gradients = {key: gradient.copy() for key, gradient in layer.grads.items()}

    def loss():
        return (layer.forward(x) * dy).sum()

    for array, gradient in [(x, dx), *((layer.params[key], gradients[key]) for key in gradients)]:
        for place in entries(array):
            assert central_difference(loss, array, place) == pytest.approx(gradient[place], rel=1e-6, abs=1e-7)


@every_case
def test_arguments_are_not_changed_and_gradients_are_assigned(name):
    layer, _, x = fixed(name, seed=1)
    dy = gradient_like(layer.forward(x))
    before = [array.copy() for array in (x, dy, *layer.params.values())]
    first = [layer.backward(dy).copy(), *(gradient.copy() for gradient in layer.grads.values())]
    again = [layer.backward(dy), *layer.grads.values()]
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(before, (x, dy, *layer.params.values()), strict=True):
        np.testing.assert_array_equal(a, b)


@every_case
def test_float32_stays_float32(name):
    layer, module, x = fixed(name, seed=1)
    module.float()
    for part in getattr(layer, "layers", [layer]):
        part.params = {key: value.astype(np.float32) for key, value in part.params.items()}
        for buffer in ("running_mean", "running_var"):
            if hasattr(part, buffer):
                setattr(part, buffer, getattr(part, buffer).astype(np.float32))
    x = x.astype(np.float32)
    y = layer.forward(x)
    dx = layer.backward(gradient_like(y).astype(np.float32))
    assert {array.dtype for array in (y, dx, *layer.grads.values())} == {np.dtype(np.float32)}
    np.testing.assert_allclose(y, module(torch.tensor(x)).detach().numpy(), rtol=1e-4, atol=1e-4)


@every_case
def test_any_order_in_memory_gives_the_same(name):
    """torch's channels_last, and the order in which a convolution leaves its maps."""
    layer, _, x = fixed(name, seed=1)
    dy = gradient_like(layer.forward(x))
    expected = [layer.forward(x).copy(), layer.backward(dy).copy(), *(g.copy() for g in layer.grads.values())]
    found = [layer.forward(np.asfortranarray(x)), layer.backward(np.asfortranarray(dy)), *layer.grads.values()]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [0, 1])
def test_convolution_is_the_plain_loops(stride, padding):
    rng = np.random.default_rng(0)
    x, weight, bias = (rng.standard_normal(shape) for shape in ((2, 3, 6, 5), (4, 3, 3, 2), 4))
    found = numpy_nn.Conv2d(weight, bias, stride, padding).forward(x)
    np.testing.assert_allclose(found, numpy_nn.conv2d_by_loops(x, weight, bias, stride, padding), rtol=1e-12)
    expected = torch.conv2d(*map(torch.tensor, (x, weight, bias)), stride, padding)
    assert_equal(numpy_nn.conv2d_by_loops(x, weight, bias, stride, padding), expected)


@pytest.mark.parametrize("shape", [(6, 3), (2, 3, 4), (2, 3, 4, 5)])
def test_running_statistics_are_torchs_and_move_in_place(shape):
    module = (nn.BatchNorm1d if len(shape) < 4 else nn.BatchNorm2d)(3, momentum=0.3).double()
    own = {name: value.copy() for name, value in arrays(module).items() if name != "num_batches_tracked"}
    layer = numpy_nn.BatchNorm(**own, momentum=0.3)
    for seed in range(3):
        x = 5 + 2 * gradient_like(np.empty(shape), seed)
        assert_equal(layer.forward(x), module(torch.tensor(x)))
    assert layer.running_mean is own["running_mean"]
    assert layer.running_var is own["running_var"]
    assert_equal(own["running_mean"], module.running_mean)
    assert_equal(own["running_var"], module.running_var)
    layer.training = False
    module.eval()
    assert_equal(layer.forward(x), module(torch.tensor(x)))
    assert_equal(own["running_mean"], module.running_mean)


def test_batch_norm_refuses_one_value_a_channel():
    layer = numpy_nn.BatchNorm(*(np.ones(3) for _ in range(4)))
    with pytest.raises(ValueError, match=r"one value a channel: the input is \(1, 3\)"):
        layer.forward(np.ones((1, 3)))


@pytest.mark.parametrize("order", ["C", "F"])
def test_dropout_in_training(order):
    """Zero or 1 / (1 - p) times the input, the share as asked for, and the gradient through the same mask."""
    layer, x = numpy_nn.Dropout(0.3, np.random.default_rng(0)), np.full((200, 100), 2.0, order=order)
    y = layer.forward(x)
    np.testing.assert_allclose(np.unique(y), [0, 2 / 0.7])
    assert (y == 0).mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(layer.backward(np.ones_like(x)), y / 2)
    assert (layer.forward(x) != y).any()
    layer.rng = np.random.default_rng(0)
    np.testing.assert_array_equal(layer.forward(x), y)
    assert layer.forward(x.astype(np.float32)).dtype == np.float32


def test_dropout_in_evaluation_and_at_its_bounds():
    layer, x = numpy_nn.Dropout(0.3), np.ones((4, 5))
    layer.training = False
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(x), x)
    np.testing.assert_array_equal(numpy_nn.Dropout(0.0).forward(x), x)
    for p in (-0.1, 1.0):
        with pytest.raises(ValueError, match=f"p={p}: must be at least 0 and below 1"):
            numpy_nn.Dropout(p)


@few
@given(count=st.integers(1, 4), seed=st.integers(0, 2**31))
def test_add_and_concatenate(count, seed):
    rng = np.random.default_rng(seed)
    xs = [rng.standard_normal((2, 3, 4)) for _ in range(count)]
    parts = [rng.standard_normal((2, rng.integers(1, 4), 4)) for _ in range(count)]
    for layer, arguments, of_torch in (
        (numpy_nn.Add(), xs, lambda tensors: torch.stack(tensors).sum(0)),
        (numpy_nn.Concatenate(1), parts, lambda tensors: torch.cat(tensors, 1)),
    ):
        tensors = [torch.tensor(x, requires_grad=True) for x in arguments]
        before = [x.copy() for x in arguments]
        y = layer.forward(*arguments)
        dy = gradient_like(y)
        expected = of_torch(tensors)
        expected.backward(torch.tensor(dy))
        assert_equal(y, expected)
        for dx, tensor in zip(layer.backward(dy), tensors, strict=True):
            assert_equal(dx, tensor.grad)
        for x, copy in zip(arguments, before, strict=True):
            np.testing.assert_array_equal(x, copy)


def test_add_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"one shape, not \(2, 3\), \(3,\)"):
        numpy_nn.Add().forward(np.ones((2, 3)), np.ones(3))


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "tanh", "sigmoid", "silu", "log_sigmoid", "gelu", "softmax"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_inputs_overflow_nowhere(name, dtype):
    layer, module, _ = fixed(name, seed=0)
    x = np.array([[-1e30, -1e3, -50, -6.5, -1e-30, 0, 1e-30, 6.5, 50, 1e3, 1e30]], dtype).repeat(2, 0)
    with warnings.catch_warnings(), np.errstate(over="raise", invalid="raise", divide="raise"):
        warnings.simplefilter("error")
        y = layer.forward(x)
        dx = layer.backward(np.ones_like(y))
    inputs = torch.tensor(x, requires_grad=True)
    outputs = module(inputs)
    outputs.backward(torch.ones_like(outputs))
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-12}
    assert_equal(y, outputs, **tolerance)
    assert_equal(dx, inputs.grad, **tolerance)


def test_sequential_hands_training_down_and_names_as_torch():
    net = numpy_nn.Sequential([numpy_nn.Linear(np.ones((2, 3)), np.ones(2)), numpy_nn.ReLU(), numpy_nn.Dropout(0.5)])
    assert list(net.params) == ["0.weight", "0.bias"]
    net.training = False
    np.testing.assert_array_equal(net.forward(np.ones((1, 3))), [[4, 4]])
    net.backward(np.ones((1, 2)))
    np.testing.assert_array_equal(net.grads["0.bias"], [1, 1])
    net.training = True
    assert set(net.forward(np.ones((50, 3))).ravel()) == {0, 8}
