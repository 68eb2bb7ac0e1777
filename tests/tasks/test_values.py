"""The tasks whose targets are values: regression, sequence, restoration. Baselines by hand, arrays of the pictures."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_tasks import row, seeded, split, task
from sklearn import metrics as sk
from torch import nn

from dlhw.dataset.sine import Windows
from dlhw.metrics import gaussian_filter, psnr, ssim
from dlhw.tasks.regression import GRID
from dlhw.tasks.sequence import free_running


def regression(features: int = 2, outputs: int = 1):
    return task("regression", input_shape=(features,), out_features=outputs)


def test_rows_of_a_regression_are_sklearns_errors():
    outputs, targets = torch.randn(2, 8, 3, generator=seeded())
    figures = row(regression(2, 3), outputs, targets)
    assert figures["mse"] == pytest.approx(sk.mean_squared_error(targets, outputs), rel=1e-6)
    assert figures["mae"] == pytest.approx(sk.mean_absolute_error(targets, outputs), rel=1e-6)


def test_the_mean_of_the_training_targets_is_the_regressions_baseline():
    train = split(torch.zeros(3, 2), [[0.0, 10.0], [2.0, 10.0], [4.0, 10.0]])  # means 2 and 10
    test = split(torch.zeros(2, 2), [[2.0, 11.0], [5.0, 10.0]])  # off by 0 and 1, by 3 and 0
    assert regression().baselines(train, test) == {"mean_target": {"mse": 10 / 4, "mae": 4 / 4}}


class Plane(nn.Module):
    def forward(self, inputs):
        return (3 * inputs[:, :1] + inputs[:, 1:]) ** 2


def test_a_surface_over_the_points_for_two_inputs_and_one_output():
    points, targets = torch.tensor([[0.0, 1.0], [2.0, 1.5], [1.0, 5.0]]), torch.tensor([[0.0], [1.0], [1.0]])
    outputs = Plane()(points)
    arrays = regression().arrays(outputs, split(points, targets), Plane())
    x, y, values = (arrays[f"surface_{name}"] for name in ("x", "y", "values"))
    assert (x[0], x[-1], len(x)) == (-1, 3, GRID)
    assert (y[0], y[-1], len(y)) == (-1, 7, GRID)
    assert values == pytest.approx((3 * x[None, :] + y[:, None]) ** 2, rel=1e-5)
    assert np.array_equal(arrays["points"], points.numpy())
    assert arrays["point_targets"].tolist() == [0, 1, 1]
    assert arrays["point_outputs"].tolist() == arrays["output_values"].tolist() == outputs.flatten().tolist()
    assert arrays["target_values"].tolist() == [0, 1, 1]


@pytest.mark.parametrize(("features", "outputs", "n"), [(3, 1, 5), (2, 2, 5), (2, 1, 1001)])
def test_no_surface_where_it_cannot_be_drawn(features, outputs, n):
    kept = torch.zeros(n, outputs)
    arrays = regression(features).arrays(kept, split(torch.zeros(n, features), torch.zeros(n, outputs)), nn.Identity())
    assert set(arrays) == {"target_values", "output_values"}


def windows(values: list[float], window: int = 3, clean: list[float] | None = None) -> Windows:
    return Windows(torch.tensor(values), torch.tensor(clean or values), window)


SEQUENCE = task("sequence", input_shape=(3, 1), out_features=1)


def test_persistence_is_the_sequences_baseline():
    """Targets 4, 6, 3 after windows that end with 2, 4, 6."""
    baselines = SEQUENCE.baselines(None, windows([0.0, 1, 2, 4, 6, 3]))
    assert baselines == {"persistence": {"mse": pytest.approx((4 + 4 + 9) / 3), "mae": pytest.approx(7 / 3)}}


class Sum(nn.Module):
    """The next value of the Fibonacci sequence."""

    def forward(self, inputs):
        return inputs[:, -1] + inputs[:, -2]


def test_free_running_goes_on_from_its_own_predictions():
    ahead = free_running(Sum(), torch.tensor([[[1.0], [1], [2]]]), 6)
    assert ahead.tolist() == [3, 5, 8, 13, 21, 34]


@pytest.mark.parametrize("kept", [4, 2])
def test_arrays_of_a_sequence(kept):
    """All of them of the same length; what comes before the first prediction is nan; limit_batches shortens."""
    observed, clean = [1.0, 1, 2, 3.5, 5, 8, 13], [1.0, 1, 2, 3, 5, 8, 13]
    part = windows(observed, clean=clean)
    one_step = Sum()(part.inputs)[:kept]
    arrays = SEQUENCE.arrays(one_step, part, Sum())
    length = 3 + kept
    assert arrays["sequence_start"] == 3
    assert arrays["sequence_truth"].tolist() == observed[:length]
    assert arrays["sequence_clean"].tolist() == clean[:length]
    for name, expected in (("one_step", [3, 5.5, 8.5, 13]), ("free_running", [3, 5, 8, 13])):
        values = arrays[f"sequence_{name}"]
        assert np.isnan(values[:3]).all()
        assert values[3:].tolist() == expected[:kept]


RESTORATION = task("restoration", input_shape=(1, 16, 16))


class Cleaned(SimpleNamespace):
    """Images and what noise made of them."""

    def __init__(self, n: int = 20, side: int = 16, noise: float = 0.1) -> None:
        clean = torch.rand(n, 1, side, side, generator=seeded(1))
        signs = torch.rand(n, 1, side, side, generator=seeded(2)).round() * 2 - 1
        inside = 0.2 + 0.6 * clean  # so that clipping changes nothing
        super().__init__(inputs=inside + noise * signs, targets=inside)

    def split(self):
        return split(self.inputs, self.targets)


def test_rows_and_figures_of_restored_images():
    made = Cleaned()
    outputs = made.targets + 0.01
    assert row(RESTORATION, outputs, made.targets) == {"psnr": pytest.approx(40, rel=1e-4)}
    figures = RESTORATION.figures(outputs, made.split())
    assert figures == {"ssim": pytest.approx(ssim(outputs, made.targets).mean().item(), rel=1e-9)}
    assert 0.9 < figures["ssim"] < 1
    assert RESTORATION.figures(outputs[:5], made.split())["ssim"] == pytest.approx(
        ssim(outputs[:5], made.targets[:5]).mean().item(), rel=1e-9
    )


def test_baselines_of_restoration():
    """Noise of plus or minus a tenth is 20 dB, whatever the image."""
    made = Cleaned()
    baselines = RESTORATION.baselines(None, made.split())
    assert baselines["noisy_input"]["psnr"] == pytest.approx(20, rel=1e-5)
    assert baselines["noisy_input"]["ssim"] == pytest.approx(ssim(made.inputs, made.targets).mean().item(), rel=1e-9)
    smooth = gaussian_filter(made.inputs)
    assert baselines["gaussian_3x3"]["psnr"] == pytest.approx(psnr(smooth, made.targets).mean().item(), rel=1e-6)
    assert baselines["gaussian_3x3"]["ssim"] == pytest.approx(ssim(smooth, made.targets).mean().item(), rel=1e-9)


@pytest.mark.parametrize("n", [1, 5, 20])
def test_arrays_of_restored_images(n):
    made = Cleaned(n)
    arrays = RESTORATION.arrays(made.targets + 0.01, made.split(), nn.Identity())
    shown = [round(i * (n - 1) / max(1, min(n, 8) - 1)) for i in range(min(n, 8))]
    assert np.array_equal(arrays["sample_noisy"], made.inputs[shown].numpy())
    assert np.array_equal(arrays["sample_clean"], made.targets[shown].numpy())
    assert arrays["sample_restored"] == pytest.approx(made.targets[shown].numpy() + 0.01)
    assert arrays["sample_psnr_noisy"] == pytest.approx(np.full(len(shown), 20), rel=1e-4)
    assert arrays["sample_psnr_restored"] == pytest.approx(np.full(len(shown), 40), rel=1e-4)


@pytest.mark.parametrize("side", [2, 5, 8, 10])
def test_images_smaller_than_the_similaritys_window_are_judged_too(side):
    """scikit-learn's digits are 8x8."""
    made = Cleaned(3, side)
    assert RESTORATION.figures(made.targets, made.split()) == {"ssim": pytest.approx(1)}
    assert -1 < RESTORATION.figures(made.inputs, made.split())["ssim"] < 1
    assert not math.isnan(RESTORATION.baselines(None, made.split())["gaussian_3x3"]["ssim"])
