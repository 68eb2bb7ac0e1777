"""Accuracy, F1, per-class accuracy and the baseline against scikit-learn, torchmetrics and sums by hand."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from dlhw.metrics import ConfusionMetrics, classification_figures, confusion_matrix
from dlhw.task import Classification

CPU = torch.device("cpu")
CHUNK = ConfusionMetrics.CHUNK

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


@pytest.mark.parametrize("batches", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 5])
def test_any_number_of_batches_counts_every_sample_once(batches):
    generator = torch.Generator().manual_seed(batches)
    sizes = [3] * (batches - 1) + [2]  # the last batch is short
    outputs = [torch.randn(n, 4, generator=generator) for n in sizes]
    targets = [torch.randint(4, (n,), generator=generator) for n in sizes]
    metrics = ConfusionMetrics(4, CPU)
    for pair in zip(outputs, targets, strict=True):
        metrics.update(*pair)
    preds, true = torch.cat(outputs).argmax(1), torch.cat(targets)
    hits, count = metrics.compute()["accuracy"].tolist()
    assert (hits, count) == (int((preds == true).sum()), sum(sizes))
    assert torch.equal(metrics.confusion, confusion_matrix(preds, true, 4))
    assert torch.equal(metrics.confusion, confusion_matrix(preds, true, 4))  # asking twice counts nothing twice


def test_figures_may_be_asked_for_in_between():
    metrics = ConfusionMetrics(2, CPU)
    outputs, targets = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
    metrics.update(outputs, targets)
    assert metrics.compute()["accuracy"].tolist() == [1, 2]
    metrics.update(outputs, targets)
    assert metrics.compute()["accuracy"].tolist() == [2, 4]


class Fixed:
    """A split whose targets are all that a baseline needs."""

    def __init__(self, *targets: int) -> None:
        self.targets = torch.tensor(targets)

    def __len__(self) -> int:
        return len(self.targets)


@pytest.mark.parametrize(
    ("train", "test", "expected"),
    [
        ((0, 1, 1, 2), (1, 1, 0, 2), 0.5),
        ((2, 2, 2), (0, 1), 0.0),  # the majority is the training split's, not the test's
        ((0, 0), (0, 0, 0, 1), 0.75),
    ],
)
def test_majority_class_baseline(train, test, expected):
    baselines = Classification(["a", "b", "c"]).baselines(Fixed(*train), Fixed(*test))
    assert baselines == {"majority_class": {"accuracy": expected}}


class Grey(Fixed):
    """A split whose image i is one pixel of value i."""

    def raw(self, indices):
        return np.array(indices, np.uint8).reshape(-1, 1, 1, 1)


def test_arrays_hold_the_most_confident_mistakes_first():
    targets = [0, 1, 2, 0, 1]
    outputs = torch.tensor([[5.0, 0, 0], [2, 0, 0], [0, 0, 1], [0, 4, 0], [0, 9, 0]])  # images 1 and 3 are mistaken
    arrays = Classification(["a", "b", "c"]).arrays(outputs, Grey(*targets))
    assert arrays["mistake_images"].flatten().tolist() == [3, 1]
    assert arrays["mistake_preds"].tolist() == [1, 0]
    assert arrays["mistake_targets"].tolist() == [0, 1]
    assert arrays["mistake_probs"] == pytest.approx(outputs.softmax(1).max(1)[0][[3, 1]].numpy())
    assert arrays["sample_images"].flatten().tolist() == [0, 1, 2, 3, 4]
    assert arrays["test_preds"].tolist() == [0, 0, 2, 1, 1]
    assert arrays["test_targets"].tolist() == targets
    assert np.array_equal(arrays["confusion"], sk.confusion_matrix(targets, [0, 0, 2, 1, 1]))
    assert arrays["classes"].tolist() == ["a", "b", "c"]


def test_arrays_without_a_mistake():
    arrays = Classification(["a", "b"]).arrays(torch.eye(2), Grey(0, 1))
    assert arrays["mistake_images"].shape == (0, 1, 1, 1)
    assert len(arrays["mistake_probs"]) == 0


def test_samples_are_spread_evenly_over_a_large_split():
    outputs = torch.zeros(200, 2)
    images = Classification(["a", "b"]).arrays(outputs, Grey(*[0] * 200))["sample_images"].flatten()
    assert len(images) == 32
    assert (images[0], images[-1]) == (0, 199)
    assert set(np.diff(images.astype(int))) <= {6, 7}
