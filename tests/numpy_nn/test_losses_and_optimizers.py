"""Losses and optimizers against torch in float64."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import dlhw.numpy_nn as numpy_nn
from dlhw.loss.mse import MSE

few = settings(max_examples=20, deadline=None)
weights = np.array([0.5, 1.0, 3.0, 0.1])

CLASSES = {
    "cross_entropy": (numpy_nn.CrossEntropyLoss(), nn.CrossEntropyLoss()),
    "smoothed": (numpy_nn.CrossEntropyLoss(label_smoothing=0.1), nn.CrossEntropyLoss(label_smoothing=0.1)),
    "weighted": (numpy_nn.CrossEntropyLoss(weights), nn.CrossEntropyLoss(torch.tensor(weights))),
    "both": (numpy_nn.CrossEntropyLoss(weights, 0.2), nn.CrossEntropyLoss(torch.tensor(weights), label_smoothing=0.2)),
    "mse": (numpy_nn.MSELoss(), MSE()),
    "mse_sum": (numpy_nn.MSELoss("sum"), MSE("sum")),
    "multi_margin": (numpy_nn.MultiMarginLoss(), nn.MultiMarginLoss()),
    "multi_margin_squared": (numpy_nn.MultiMarginLoss(2, 0.3), nn.MultiMarginLoss(2, 0.3)),
}
VALUES = {"mse": (numpy_nn.MSELoss(), MSE()), "mse_sum": (numpy_nn.MSELoss("sum"), MSE("sum"))}


def assert_loss_is_torchs(ours, theirs, outputs, targets, rtol=1e-10):
    before = outputs.copy(), targets.copy()
    tensor = torch.tensor(outputs, requires_grad=True)
    expected = theirs(tensor, torch.tensor(targets))
    expected.backward()
    found = ours.forward(outputs, targets)
    assert type(found) is float
    assert found == pytest.approx(expected.item(), rel=rtol, abs=1e-14)
    for _ in range(2):
        gradient = ours.backward()
        assert gradient.dtype == outputs.dtype
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=rtol, atol=1e-14 * max(1, rtol * 1e8))
    np.testing.assert_array_equal(outputs, before[0])
    np.testing.assert_array_equal(targets, before[1])


@pytest.mark.parametrize("name", CLASSES)
@few
@given(n=st.integers(1, 6), scale=st.sampled_from([0.1, 1.0, 30.0]), seed=st.integers(0, 2**31))
def test_losses_of_classes(name, n, scale, seed):
    rng = np.random.default_rng(seed)
    assert_loss_is_torchs(*CLASSES[name], scale * rng.standard_normal((n, 4)), rng.integers(0, 4, n))


@pytest.mark.parametrize("name", ["cross_entropy", "smoothed", "weighted", "both"])
@few
@given(n=st.integers(1, 3), height=st.integers(1, 4), seed=st.integers(0, 2**31))
def test_cross_entropy_of_a_class_for_each_pixel(name, n, height, seed):
    rng = np.random.default_rng(seed)
    assert_loss_is_torchs(*CLASSES[name], rng.standard_normal((n, 4, height, 3)), rng.integers(0, 4, (n, height, 3)))


@pytest.mark.parametrize("name", VALUES)
@few
@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=4), seed=st.integers(0, 2**31))
def test_mse_of_values(name, shape, seed):
    rng = np.random.default_rng(seed)
    assert_loss_is_torchs(*VALUES[name], rng.standard_normal(shape), rng.standard_normal(shape))


def test_mse_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"one shape, not \(3, 1\) and \(3,\)"):
        numpy_nn.MSELoss().forward(np.ones((3, 1)), np.ones(3))


@pytest.mark.parametrize("name", CLASSES)
def test_losses_agree_with_central_differences(name):
    loss, rng, h = CLASSES[name][0], np.random.default_rng(0), 1e-6
    outputs, targets = rng.standard_normal((3, 4)), np.array([0, 3, 1])
    loss.forward(outputs, targets)
    gradient = loss.backward()
    for place in np.ndindex(*outputs.shape):
        step = np.zeros_like(outputs)
        step[place] = h
        slope = (loss.forward(outputs + step, targets) - loss.forward(outputs - step, targets)) / (2 * h)
        assert slope == pytest.approx(gradient[place], rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("name", ["cross_entropy", "smoothed", "mse", "mse_sum", "multi_margin"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_logits_overflow_nowhere(name, dtype):
    outputs = np.array([[1e4, -1e4, 0, 5], [-1e4, 1e4, 3, 2], [0, 0, 0, 0]], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert_loss_is_torchs(*CLASSES[name], outputs, np.array([0, 0, 2]), rtol=1e-5 if dtype == np.float32 else 1e-10)


OPTIMIZERS = [
    (numpy_nn.SGD, torch.optim.SGD, {"lr": 0.1}),
    (numpy_nn.SGD, torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.3}),
    (numpy_nn.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    (numpy_nn.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.4, "weight_decay": 0.1}),
    (numpy_nn.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    (numpy_nn.Adam, torch.optim.Adam, {"lr": 0.1}),
    (numpy_nn.Adam, torch.optim.Adam, {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    (numpy_nn.AdamW, torch.optim.AdamW, {"lr": 0.1}),
    (numpy_nn.AdamW, torch.optim.AdamW, {"lr": 0.1, "betas": (0.8, 0.95), "weight_decay": 0.2}),
    (numpy_nn.RMSprop, torch.optim.RMSprop, {"lr": 0.01}),
    (numpy_nn.RMSprop, torch.optim.RMSprop, {"lr": 0.01, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
    (numpy_nn.RMSprop, torch.optim.RMSprop, {"lr": 0.01, "momentum": 0.9}),
    (numpy_nn.RMSprop, torch.optim.RMSprop, {"lr": 0.01, "momentum": 0.9, "centered": True}),
]
every_optimizer = pytest.mark.parametrize(
    ("ours", "theirs", "settings"), OPTIMIZERS, ids=lambda x: "-".join(x) if isinstance(x, dict) else x.__name__
)


def gradients(rng, params):
    """The second parameter gets none in some steps, as an unused one does."""
    return [None if i == 1 and rng.random() < 0.4 else rng.standard_normal(p.shape) for i, p in enumerate(params)]


@every_optimizer
@few
@given(shape=st.lists(st.integers(1, 4), max_size=4), seed=st.integers(0, 2**31), factor=st.sampled_from([1, 0.1]))
def test_updates_and_state_are_torchs(ours, theirs, settings, shape, seed, factor):
    rng = np.random.default_rng(seed)
    params = [rng.standard_normal(shape), rng.standard_normal(3)]
    tensors = [torch.tensor(p, requires_grad=True) for p in params]
    optimizer, of_torch = ours(**settings), theirs(tensors, **settings)
    state = [{} for _ in params]
    for step in range(6):
        grads = gradients(rng, params)
        before = copy.deepcopy(grads)
        lr = settings["lr"] * factor**step  # what a schedule does
        optimizer.step(params, grads, state, lr=lr)
        of_torch.param_groups[0]["lr"] = lr
        for tensor, grad in zip(tensors, grads, strict=True):
            tensor.grad = None if grad is None else torch.tensor(grad)
        of_torch.step()
        for grad, copied in zip(grads, before, strict=True):
            np.testing.assert_array_equal(grad, copied)
        for param, tensor in zip(params, tensors, strict=True):
            np.testing.assert_allclose(param, tensor.detach().numpy(), rtol=1e-10, atol=1e-13)
    for kept, tensor in zip(state, tensors, strict=True):
        expected = {name: value for name, value in of_torch.state[tensor].items() if value is not None}
        assert kept.keys() == expected.keys()
        for name, value in expected.items():
            assert kept[name].dtype == value.numpy().dtype
            np.testing.assert_allclose(kept[name], value.numpy(), rtol=1e-10, atol=1e-13)


@every_optimizer
def test_goes_on_from_torchs_state_in_place(ours, theirs, settings):
    rng = np.random.default_rng(0)
    tensor = torch.tensor(rng.standard_normal((2, 3)), requires_grad=True)
    of_torch = theirs([tensor], **settings)
    grads = [rng.standard_normal((2, 3)) for _ in range(4)]
    for grad in grads[:2]:
        tensor.grad = torch.tensor(grad)
        of_torch.step()
    param = tensor.detach().numpy().copy()
    entries = {name: value for name, value in of_torch.state[tensor].items() if value is not None}
    state = {name: value.numpy().copy() for name, value in entries.items()}
    own = dict(state)
    for grad in grads[2:]:
        tensor.grad = torch.tensor(grad)
        of_torch.step()
        ours(**settings).step([param], [grad], [state])
    np.testing.assert_allclose(param, tensor.detach().numpy(), rtol=1e-10)
    assert all(state[name] is value for name, value in own.items())


@every_optimizer
def test_float32_stays_float32(ours, theirs, settings):
    param, state = np.ones((2, 3), np.float32), {}
    for _ in range(3):
        ours(**settings).step([param], [np.ones((2, 3), np.float32)], [state])
    assert {value.dtype for value in (param, *state.values())} == {np.dtype(np.float32)}


def test_amsgrad_is_refused():
    with pytest.raises(TypeError, match="amsgrad"):
        numpy_nn.Adam().step([np.ones(2)], [np.ones(2)], [{}], amsgrad=True)
