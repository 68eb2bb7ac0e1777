"""The losses of the YAML files against torch and against their formulas."""

import pytest
import torch
from composing import part
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dlhw.loss.dice import Dice
from dlhw.loss.mse import MSE
from dlhw.loss.rounded_mse import RoundedMSE


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


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_mse_of_values_is_torchs(reduction):
    outputs, _ = example(k=3)
    targets = torch.randn(7, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    loss_fn = part("loss", "loss=mse", f"loss.reduction={reduction}")
    assert_same_loss(loss_fn, nn.MSELoss(reduction=reduction), outputs, targets)


def test_the_sum_of_squares_of_classes_is_the_mean_times_their_number():
    outputs, targets = example()
    summed, mean = (MSE(reduction)(outputs, targets).item() for reduction in ("sum", "mean"))
    assert summed == pytest.approx(70 * mean, rel=1e-12)


def dice_by_hand(outputs, targets, background: bool, smooth: float) -> float:
    """Class by class, pixel by pixel."""
    probs = outputs.softmax(1).movedim(1, -1).reshape(-1, outputs.shape[1]).tolist()
    true = targets.flatten().tolist()
    scores = []
    for k in range(0 if background else 1, outputs.shape[1]):
        if k in true:
            overlap = sum(p[k] for p, t in zip(probs, true, strict=True) if t == k)
            sizes = sum(p[k] for p in probs) + true.count(k)
            scores.append((2 * overlap + smooth) / (sizes + smooth))
    return 1 - sum(scores) / max(1, len(scores))


def pixels(classes: int = 4):
    """Raw outputs (3, K, 5, 4) and targets without the last class."""
    generator = torch.Generator().manual_seed(0)
    outputs = 2 * torch.randn(3, classes, 5, 4, generator=generator, dtype=torch.float64)
    return outputs.requires_grad_(), torch.randint(classes - 1, (3, 5, 4), generator=generator)


@pytest.mark.parametrize("smooth", [1.0, 0.01])
@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_dice_by_hand(share, background, smooth):
    outputs, targets = pixels()
    options = (f"loss.background={background}", f"loss.cross_entropy={share}", f"loss.smooth={smooth}")
    found = part("loss", "loss=dice", *options)(outputs, targets).item()
    dice = dice_by_hand(outputs, targets, background, smooth)
    assert found == pytest.approx((1 - share) * dice + share * F.cross_entropy(outputs, targets).item(), rel=1e-12)


@pytest.mark.parametrize("background", [False, True])
def test_the_gradient_of_dice(background):
    outputs, targets = pixels()
    loss_fn = Dice(background, cross_entropy=0.4)
    assert torch.autograd.gradcheck(lambda o: loss_fn(o, targets), outputs)


def test_dice_of_nothing_but_background_leaves_cross_entropy_alone():
    outputs, _ = pixels()
    targets = torch.zeros(3, 5, 4, dtype=torch.int64)
    loss = Dice(cross_entropy=0.5)(outputs, targets)
    assert loss.item() == pytest.approx(0.5 + 0.5 * F.cross_entropy(outputs, targets).item(), rel=1e-12)
    (gradient,) = torch.autograd.grad(loss, outputs)
    assert gradient.isfinite().all()


def test_a_right_and_sure_segmentation_costs_nothing_and_a_wrong_one_does():
    _, targets = pixels()
    sure = 1000 * F.one_hot(targets, 4).movedim(3, 1).double()
    assert Dice()(sure, targets).item() == pytest.approx(0, abs=1e-12)
    assert Dice(cross_entropy=0)(sure, (targets + 1) % 3).item() > 0.9


@pytest.mark.parametrize(
    ("options", "words"),
    [({"cross_entropy": 1.1}, "cross_entropy=1.1: must be from 0 to 1"), ({"smooth": 0}, "smooth=0: must be above 0")],
)
def test_dice_refuses(options, words):
    with pytest.raises(ValueError, match=words):
        Dice(**options)


def test_rounded_mse():
    outputs = torch.tensor([[0.4], [3.0], [11.0]], dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 5, 9])
    loss, gradient = value_and_gradient(RoundedMSE(), outputs, targets)
    assert loss.item() == pytest.approx((0.16 + 4 + 4) / 3)
    assert gradient.flatten().tolist() == pytest.approx([0.8 / 3, -4 / 3, 4 / 3])


def test_rounded_mse_tells_the_nearest_class_there_is():
    loss_fn = RoundedMSE()
    assert loss_fn.output_shape(10) == (1,)
    outputs = torch.tensor([[-7.2], [-0.4], [0.6], [4.4], [8.9], [9.4], [1e9]])
    preds = loss_fn.predict(outputs, 10)
    assert preds.tolist() == [0, 0, 1, 4, 9, 9, 9]
    assert preds.dtype == torch.int64
    assert loss_fn.predict(outputs.bfloat16(), 3).tolist() == [0, 0, 1, 2, 2, 2, 2]
