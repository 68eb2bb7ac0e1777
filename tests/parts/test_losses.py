"""The losses of the YAML files against torch and against their formulas; targets are integers."""

import pytest
import torch
from composing import part
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dlhw.loss.mse import MSE


def example(n=7, k=10, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    outputs = 3 * torch.randn(n, k, generator=generator, dtype=torch.float64)
    return outputs.to(dtype).requires_grad_(), torch.randint(k, (n,), generator=generator)


def value_and_gradient(loss_fn, outputs, targets):
    loss = loss_fn(outputs, targets)
    (gradient,) = torch.autograd.grad(loss, outputs)
    return loss.detach(), gradient


def assert_same_loss(ours, oracle, outputs, targets):
    expected = value_and_gradient(oracle, outputs, targets)
    torch.testing.assert_close(value_and_gradient(ours, outputs, targets), expected, rtol=1e-12, atol=1e-14)


def test_mse_is_torchs_mseloss_of_softmax_and_one_hot():
    outputs, targets = example()

    def oracle(outputs, targets):
        return nn.MSELoss()(nn.Softmax(1)(outputs), torch.eye(10, dtype=torch.float64)[targets])

    assert_same_loss(part("loss", "loss=mse"), oracle, outputs, targets)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 9), k=st.integers(2, 12), seed=st.integers(0, 2**31), scale=st.sampled_from([0.1, 1.0, 50.0]))
def test_mse_by_its_sum(n, k, seed, scale):
    generator = torch.Generator().manual_seed(seed)
    outputs = scale * torch.randn(n, k, generator=generator, dtype=torch.float64)
    targets = torch.randint(k, (n,), generator=generator)
    probs = outputs.softmax(1)
    terms = [(probs[i, j].item() - (j == targets[i].item())) ** 2 for i in range(n) for j in range(k)]
    assert MSE()(outputs, targets).item() == pytest.approx(sum(terms) / (n * k), rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_mse_keeps_the_dtype(dtype):
    assert MSE()(*example(dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.5])
def test_cross_entropy(label_smoothing):
    outputs, targets = example()

    def oracle(outputs, targets):
        wanted = F.one_hot(targets, 10).double() * (1 - label_smoothing) + label_smoothing / 10
        return -(wanted * outputs.log_softmax(1)).sum(1).mean()

    loss_fn = part("loss", "loss=cross_entropy", f"loss.label_smoothing={label_smoothing}")
    assert_same_loss(loss_fn, oracle, outputs, targets)
    assert_same_loss(loss_fn, nn.CrossEntropyLoss(label_smoothing=label_smoothing), outputs, targets)


@pytest.mark.parametrize("margin", [1.0, 0.25])
@pytest.mark.parametrize("p", [1, 2])
def test_multi_margin(p, margin):
    outputs, targets = example()

    def oracle(outputs, targets):
        own = outputs.gather(1, targets[:, None])
        terms = (margin - own + outputs).clamp(min=0) ** p
        others = ~F.one_hot(targets, 10).bool()
        return (terms * others).sum(1).mean() / 10

    loss_fn = part("loss", "loss=multi_margin", f"loss.p={p}", f"loss.margin={margin}")
    assert_same_loss(loss_fn, oracle, outputs, targets)
    assert_same_loss(loss_fn, nn.MultiMarginLoss(p=p, margin=margin), outputs, targets)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "multi_margin"])
def test_a_right_and_sure_answer_costs_nothing_and_a_wrong_one_does(loss):
    loss_fn = part("loss", f"loss={loss}")
    targets = torch.arange(10)
    sure = 1000 * torch.eye(10, dtype=torch.float64)
    assert loss_fn(sure, targets).item() == pytest.approx(0, abs=1e-12)
    assert loss_fn(sure, targets.roll(1)).item() > 0.1
