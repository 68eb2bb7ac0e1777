"""Accuracy, F1, per-class accuracy, IoU and Dice against scikit-learn, torchmetrics and sums by hand."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from dlhw.metrics import ConfusionMetrics, classification_figures, confusion_matrix, segmentation_figures
from dlhw.tasks.classification import accuracy

CPU = torch.device("cpu")

labels = st.integers(2, 6).flatmap(
    lambda k: st.tuples(
        st.just(k), st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=1, max_size=40)
    )
)


def tensors(pairs) -> tuple[torch.Tensor, torch.Tensor]:
    """preds, targets"""
    table = torch.tensor(pairs)
    return table[:, 0], table[:, 1]


@given(labels)
@settings(max_examples=100, deadline=None)
def test_confusion_matrix_is_sklearns(example):
    k, pairs = example
    preds, targets = tensors(pairs)
    ours = confusion_matrix(preds, targets, k)
    assert ours.dtype == torch.int64
    assert np.array_equal(ours.numpy(), sk.confusion_matrix(targets, preds, labels=range(k)))


@given(labels)
@settings(max_examples=100, deadline=None)
def test_figures_are_sklearns(example):
    """Macro F1 over the classes that are present or predicted, as sklearn takes them from the data."""
    k, pairs = example
    preds, targets = tensors(pairs)
    figures = classification_figures(confusion_matrix(preds, targets, k))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        f1 = sk.f1_score(targets, preds, average="macro", zero_division=0)
        recall = sk.recall_score(targets, preds, labels=range(k), average=None, zero_division=np.nan)
    assert figures["accuracy"] == pytest.approx(sk.accuracy_score(targets, preds), rel=1e-12)
    assert figures["macro_f1"] == pytest.approx(f1, rel=1e-12)
    assert figures["class_accuracy"] == [None if np.isnan(r) else pytest.approx(r, rel=1e-12) for r in recall]
    assert len(figures["class_accuracy"]) == k


def test_figures_are_torchmetrics():
    from torchmetrics.functional import classification as tm

    generator = torch.Generator().manual_seed(0)
    preds, targets = (torch.randint(10, (500,), generator=generator) for _ in range(2))
    preds = torch.where(torch.rand(500, generator=generator) < 0.7, targets, preds)
    confusion = confusion_matrix(preds, targets, 10)
    assert torch.equal(confusion, tm.multiclass_confusion_matrix(preds, targets, 10))
    figures = classification_figures(confusion)
    options = {"num_classes": 10, "average": "macro"}
    assert figures["macro_f1"] == pytest.approx(tm.multiclass_f1_score(preds, targets, **options).item(), rel=1e-6)
    micro = tm.multiclass_accuracy(preds, targets, 10, average="micro").item()
    assert figures["accuracy"] == pytest.approx(micro, rel=1e-6)
    per_class = tm.multiclass_accuracy(preds, targets, 10, average=None).tolist()
    assert figures["class_accuracy"] == pytest.approx(per_class, rel=1e-6)


def test_figures_by_hand_with_an_absent_and_an_unpredicted_class():
    """Class 2 is neither present nor predicted; class 3 is predicted and absent; class 1 is never predicted."""
    confusion = torch.tensor([[3, 0, 0, 1], [2, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    figures = classification_figures(confusion)
    assert figures["accuracy"] == pytest.approx(3 / 6)
    assert figures["class_accuracy"] == [0.75, 0.0, None, None]
    assert figures["macro_f1"] == pytest.approx((2 * 3 / (4 + 5) + 0 + 0) / 3)


def counting(k: int) -> ConfusionMetrics:
    return ConfusionMetrics(k, CPU, lambda outputs: outputs.argmax(1), accuracy)


@pytest.mark.parametrize("pending", [1, 11, 12, 13, 24, 2**16])  # a full batch has 12 output values
@pytest.mark.parametrize("batches", [1, 2, 3, 7])
def test_any_number_of_batches_counts_every_sample_once(batches, pending, monkeypatch):
    monkeypatch.setattr(ConfusionMetrics, "PENDING_VALUES", pending)
    generator = torch.Generator().manual_seed(batches)
    sizes = [3] * (batches - 1) + [2]  # the last batch is short
    outputs = [torch.randn(n, 4, generator=generator) for n in sizes]
    targets = [torch.randint(4, (n,), generator=generator) for n in sizes]
    metrics = counting(4)
    for pair in zip(outputs, targets, strict=True):
        metrics.update(*pair)
        assert sum(kept.numel() for kept, _ in metrics._pending) < pending
    preds, true = torch.cat(outputs).argmax(1), torch.cat(targets)
    state = metrics.state()
    assert state.shape == (16,)
    assert metrics.figures(state.tolist()) == {"accuracy": (preds == true).double().mean().item()}
    assert torch.equal(metrics.confusion, confusion_matrix(preds, true, 4))
    assert torch.equal(metrics.confusion, confusion_matrix(preds, true, 4))  # asking twice counts nothing twice


def test_figures_may_be_asked_for_in_between():
    metrics = counting(2)
    outputs, targets = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 0, 1])
    metrics.update(outputs[:2], targets[:2])
    assert metrics.state().tolist() == [1, 1, 0, 0]
    metrics.update(outputs[2:], targets[2:])
    assert metrics.state().tolist() == [1, 1, 0, 1]
    assert metrics.figures(metrics.state().tolist())["accuracy"] == pytest.approx(2 / 3)


def test_a_confusion_of_many_pixels_stays_exact_through_the_float64_of_the_fetch():
    counts = [2**40 + 1, 3, 5, 2**40 - 1]
    assert counting(2).figures([float(c) for c in counts]) == {"accuracy": 2**41 / (2**41 + 8)}


def assert_segmentation(preds: torch.Tensor, targets: torch.Tensor, k: int) -> None:
    """Against scikit-learn, whose averages are told which classes count: those that are present or predicted."""
    figures = segmentation_figures(confusion_matrix(preds, targets, k))
    seen = sorted({*preds.flatten().tolist(), *targets.flatten().tolist()})
    objects = [c for c in seen if c]
    true, found = targets.flatten(), preds.flatten()
    assert figures["miou"] == pytest.approx(sk.jaccard_score(true, found, labels=seen, average="macro"), rel=1e-12)
    dice = sk.f1_score(true, found, labels=objects, average="macro") if objects else 0.0
    assert figures["dice"] == pytest.approx(dice, rel=1e-12)
    assert figures["pixel_accuracy"] == pytest.approx(sk.accuracy_score(true, found), rel=1e-12)
    per_class = sk.jaccard_score(true, found, labels=range(k), average=None, zero_division=0)
    assert figures["class_iou"] == [pytest.approx(v, rel=1e-12) if c in seen else None for c, v in enumerate(per_class)]


@given(labels)
@settings(max_examples=100, deadline=None)
def test_segmentation_figures_are_sklearns(example):
    k, pairs = example
    assert_segmentation(*tensors(pairs), k)


def blobs(k: int, n: int = 6, agree: float = 0.7) -> tuple[torch.Tensor, torch.Tensor]:
    """preds and targets (n, 9, 7), most of it background."""
    generator = torch.Generator().manual_seed(k)
    classes = torch.randint(k, (2, n, 9, 7), generator=generator)
    preds, targets = classes * (torch.rand(2, n, 9, 7, generator=generator) < 0.3)
    return torch.where(torch.rand(n, 9, 7, generator=generator) < agree, targets, preds), targets


@pytest.mark.parametrize("absent", [None, 0, 3])
def test_segmentation_figures_are_torchmetrics(absent):
    from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score, MulticlassJaccardIndex
    from torchmetrics.functional.segmentation import dice_score

    preds, targets = blobs(5)
    if absent is not None:  # the class is nowhere then
        preds[preds == absent], targets[targets == absent] = 1, 1
    figures = segmentation_figures(confusion_matrix(preds, targets, 5))
    jaccard, accuracy, f1 = (
        MulticlassJaccardIndex(5, average="macro"),
        MulticlassAccuracy(5, average="micro"),
        MulticlassF1Score(5, average="none"),
    )
    for batch in zip(preds.split(4), targets.split(4), strict=True):
        for metric in (jaccard, accuracy, f1):
            metric.update(*batch)
    assert figures["miou"] == pytest.approx(jaccard.compute().item(), rel=1e-6)
    assert figures["pixel_accuracy"] == pytest.approx(accuracy.compute().item(), rel=1e-6)
    objects = [c for c in range(1, 5) if c != absent]
    assert figures["dice"] == pytest.approx(f1.compute()[objects].mean().item(), rel=1e-6)
    if absent != 3:  # dice_score counts a class that is nowhere as nought
        whole = (preds.reshape(1, -1), targets.reshape(1, -1))
        dice = dice_score(*whole, 5, include_background=False, average="macro", input_format="index").item()
        assert figures["dice"] == pytest.approx(dice, rel=1e-6)
    assert (figures["class_iou"][3] is None) == (absent == 3)
    assert_segmentation(preds, targets, 5)


def test_segmentation_figures_by_hand():
    """Class 1 is predicted where it is not; class 2 is nowhere; class 3 is missed."""
    confusion = torch.tensor([[90, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [8, 0, 0, 0]])
    figures = segmentation_figures(confusion)
    assert figures["miou"] == pytest.approx((90 / 100 + 0 + 0) / 3)
    assert figures["dice"] == 0
    assert figures["pixel_accuracy"] == 0.9
    assert figures["class_iou"] == [pytest.approx(0.9), 0.0, None, 0.0]


def test_segmentation_figures_of_nothing_but_background():
    figures = segmentation_figures(torch.tensor([[50, 0], [0, 0]]))
    assert figures == {"miou": 1.0, "dice": 0.0, "pixel_accuracy": 1.0, "class_iou": [1.0, None]}


def test_confusion_metrics_of_pixels_in_batches_are_those_of_all_pixels(monkeypatch):
    monkeypatch.setattr(ConfusionMetrics, "PENDING_VALUES", 600)
    preds, targets = blobs(5)
    metrics = ConfusionMetrics(5, CPU, lambda outputs: outputs.argmax(1), segmentation_figures)
    outputs = torch.nn.functional.one_hot(preds, 5).movedim(3, 1).float()
    for batch in zip(outputs.split(1), targets.split(1), strict=True):
        metrics.update(*batch)
    expected = segmentation_figures(confusion_matrix(preds, targets, 5))
    assert metrics.figures(metrics.state().tolist()) == expected
