"""The task of a class for each pixel: rows, figures and baselines by hand, and the arrays of its pictures."""

import numpy as np
import pytest
import torch
from made_tasks import row, seeded, split, task
from torch import nn

from dlhw.metrics import confusion_matrix, segmentation_figures
from dlhw.tasks.segmentation import PARTS

FACTS = {"classes": ["background", "a", "b"], "input_shape": (1, 6, 5)}


def made():
    return task("segmentation", nn.CrossEntropyLoss(), **FACTS)


def random_pixels(n: int):
    """Outputs (n, 3, 6, 5), targets that half of them meet, and what the outputs say."""
    outputs = torch.randn(n, 3, 6, 5, generator=seeded())
    preds = outputs.argmax(1)
    targets = torch.where(torch.rand(n, 6, 5, generator=seeded(1)) < 0.5, preds, preds.roll(1, 0))
    return outputs, targets, preds


@pytest.mark.parametrize("n", [1, 7, PARTS, 40])
def test_row_and_final_figures_are_those_of_all_pixels_at_once(n):
    outputs, targets, preds = random_pixels(n)
    expected = segmentation_figures(confusion_matrix(preds, targets, 3))
    found = row(made(), outputs, targets)
    assert found == {key: pytest.approx(expected[key], rel=1e-12) for key in ("miou", "dice", "pixel_accuracy")}
    kept = torch.cat([made().kept(some) for some in outputs.split(3)])
    assert kept.dtype == torch.uint8
    assert made().figures(kept, split(torch.zeros(n, 1, 6, 5), targets)) == expected


def test_figures_are_of_as_many_images_as_were_kept():
    outputs, targets, preds = random_pixels(20)
    figures = made().figures(made().kept(outputs[:8]), split(torch.zeros(20, 1, 6, 5), targets))
    assert figures == segmentation_figures(confusion_matrix(preds[:8], targets[:8], 3))


def test_baselines_by_hand():
    """The training split says that b is the most frequent object and that 0.6 tells it best; the test is judged so."""
    train = split([[[[0.15, 0.55], [0.85, 0.85]]]], [[[0, 0], [2, 2]]])
    test = split([[[[0.1, 0.9], [0.65, 0.9]]]], [[[0, 2], [0, 1]]])  # told: background, b, b, b
    baselines = made().baselines(train, test)
    assert baselines["all_background"] == {
        "miou": pytest.approx((2 / 4 + 0 + 0) / 3),
        "dice": 0.0,
        "pixel_accuracy": 0.5,
    }
    assert baselines["threshold"] == {
        "miou": pytest.approx((1 / 2 + 0 + 1 / 3) / 3),
        "dice": pytest.approx((0 + 2 * 1 / (1 + 3)) / 2),
        "pixel_accuracy": 0.5,
    }


def test_the_threshold_is_of_the_mean_over_channels():
    bright = split([[[[1.0]], [[1.0]], [[0.0]]]], [[[1]]])
    baselines = made().baselines(bright, bright)
    assert baselines["threshold"]["pixel_accuracy"] == 1.0
    assert baselines["all_background"]["pixel_accuracy"] == 0.0


def test_arrays():
    outputs, targets, preds = random_pixels(20)
    inputs = torch.rand(20, 1, 6, 5, generator=seeded(2))
    arrays = made().arrays(made().kept(outputs), split(inputs, targets), nn.Identity())
    shown = [round(i * 19 / 7) for i in range(8)]
    assert set(arrays) == {"classes", "confusion", "iou", "sample_images", "sample_masks", "sample_mask_preds"}
    assert np.array_equal(arrays["sample_images"], inputs[shown].numpy())
    assert np.array_equal(arrays["sample_masks"], targets[shown].numpy())
    assert np.array_equal(arrays["sample_mask_preds"], preds[shown].numpy())
    assert arrays["confusion"].sum() == 20 * 6 * 5
    assert arrays["iou"].shape == (3,)


def test_the_iou_of_a_class_that_is_nowhere_is_nan_in_the_arrays():
    outputs = torch.zeros(2, 3, 6, 5)
    outputs[:, 1] = 1
    arrays = made().arrays(made().kept(outputs), split(torch.zeros(2, 1, 6, 5), torch.zeros(2, 6, 5).long()), None)
    assert arrays["iou"].tolist()[:2] == [0.0, 0.0]
    assert np.isnan(arrays["iou"][2])
