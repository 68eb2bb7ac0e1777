"""The task of one class a sample: baselines by hand, and the arrays of its pictures."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_tasks import row, split, task
from sklearn import metrics as sk
from torch import nn

from dlhw.dataset.tensors import Tensors
from dlhw.loss.mse import MSE
from dlhw.loss.rounded_mse import RoundedMSE
from dlhw.tasks.classification import Classification

CLASSES = ["a", "b", "c"]


def of_images(classes: list[str] = CLASSES, loss_fn: nn.Module | None = None) -> Classification:
    return Classification(SimpleNamespace(classes=classes, input_shape=(1, 1, 1)), loss_fn or nn.CrossEntropyLoss())


class Grey(Tensors):
    """A split whose image i is one pixel of value i."""

    def __init__(self, *targets: int) -> None:
        super().__init__(torch.zeros(len(targets), 1, 1, 1), torch.tensor(targets))

    def raw(self, indices):
        return np.array(indices, np.uint8).reshape(-1, 1, 1, 1)


@pytest.mark.parametrize(
    ("train", "test", "expected"),
    [
        ((0, 1, 1, 2), (1, 1, 0, 2), 0.5),
        ((2, 2, 2), (0, 1), 0.0),  # the majority is the training split's, not the test's
        ((0, 0), (0, 0, 0, 1), 0.75),
    ],
)
def test_majority_class_baseline(train, test, expected):
    baselines = of_images().baselines(Grey(*train), Grey(*test))
    assert baselines == {"majority_class": {"accuracy": expected}}


def test_arrays_hold_the_most_confident_mistakes_first():
    targets = [0, 1, 2, 0, 1]
    outputs = torch.tensor([[5.0, 0, 0], [2, 0, 0], [0, 0, 1], [0, 4, 0], [0, 9, 0]])  # images 1 and 3 are mistaken
    arrays = of_images().arrays(outputs, Grey(*targets), nn.Identity())
    assert arrays["mistake_images"].flatten().tolist() == [3, 1]
    assert arrays["mistake_preds"].tolist() == [1, 0]
    assert arrays["mistake_targets"].tolist() == [0, 1]
    assert arrays["mistake_probs"] == pytest.approx(outputs.softmax(1).max(1)[0][[3, 1]].numpy())
    assert arrays["sample_images"].flatten().tolist() == [0, 1, 2, 3, 4]
    assert arrays["test_preds"].tolist() == [0, 0, 2, 1, 1]
    assert arrays["test_targets"].tolist() == targets
    assert np.array_equal(arrays["confusion"], sk.confusion_matrix(targets, [0, 0, 2, 1, 1]))
    assert arrays["classes"].tolist() == CLASSES


def test_arrays_without_a_mistake():
    arrays = of_images(["a", "b"]).arrays(torch.eye(2), Grey(0, 1), nn.Identity())
    assert arrays["mistake_images"].shape == (0, 1, 1, 1)
    assert len(arrays["mistake_probs"]) == 0


def test_samples_are_spread_evenly_over_a_large_split():
    outputs = torch.zeros(200, 2)
    images = of_images(["a", "b"]).arrays(outputs, Grey(*[0] * 200), nn.Identity())["sample_images"].flatten()
    assert len(images) == 32
    assert (images[0], images[-1]) == (0, 199)
    assert set(np.diff(images.astype(int))) <= {6, 7}


def test_without_images_there_are_no_grids_of_them():
    points = task("classification", nn.CrossEntropyLoss(), classes=CLASSES, input_shape=(4,))
    arrays = points.arrays(torch.eye(3), split(torch.zeros(3, 4), [0, 1, 2]), nn.Identity())
    assert set(arrays) == {"classes", "confusion", "test_preds", "test_targets"}


def test_figures_are_of_as_many_samples_as_were_kept():
    figures = of_images().figures(torch.eye(3), Grey(0, 1, 0, 2, 2))
    assert figures["accuracy"] == pytest.approx(2 / 3)
    assert figures["class_accuracy"] == [0.5, 1.0, None]
    assert figures["macro_f1"] == pytest.approx((2 / 3 + 1 + 0) / 3)


ROUNDED = torch.tensor([[-3.0], [0.4], [0.6], [1.4], [1.6], [9.0], [2.4]])  # classes 0, 0, 1, 1, 2, 2, 2


def test_one_rounded_output_stands_for_the_class_in_rows_figures_and_arrays():
    made = of_images(loss_fn=RoundedMSE())
    targets = torch.tensor([0, 1, 1, 1, 2, 2, 0])  # images 1 and 6 are mistaken, the second by more
    assert made.output_shape() == (1,)
    assert row(made, ROUNDED, targets) == {"accuracy": pytest.approx(5 / 7)}
    assert made.figures(ROUNDED, Grey(*targets.tolist()))["accuracy"] == pytest.approx(5 / 7)
    arrays = made.arrays(ROUNDED, Grey(*targets.tolist()), nn.Identity())
    assert arrays["test_preds"].tolist() == [0, 0, 1, 1, 2, 2, 2]
    assert arrays["mistake_images"].flatten().tolist() == [6, 1]
    assert np.isnan(arrays["mistake_probs"]).all()


@pytest.mark.parametrize("loss_fn", [nn.CrossEntropyLoss(), nn.MultiMarginLoss(), MSE()], ids=repr)
def test_other_losses_have_an_output_for_each_class(loss_fn):
    made = of_images(loss_fn=loss_fn)
    assert made.output_shape() == (3,)
    assert made.predict(torch.eye(3)).tolist() == [0, 1, 2]
