"""Errors, PSNR, SSIM and the Gaussian filter against torchmetrics, torchvision and SciPy."""

import math

import pytest
import torch
from scipy import ndimage
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError
from torchvision.transforms.functional import gaussian_blur

from dlhw.metrics import ErrorMetrics, PSNRMetrics, gaussian_filter, psnr, ssim

CPU = torch.device("cpu")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int = 6, channels: int = 3, height: int = 20, width: int = 17) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth images in [0, 1], and what noise makes of them; the first stays nearly as it was."""
    clean = gaussian_filter(torch.rand(n, channels, height, width, generator=seeded()), 5, 2.0)
    clean = (clean - clean.amin()) / (clean.amax() - clean.amin())
    noise = torch.randn(clean.shape, generator=seeded(1)) * torch.linspace(0.01, 0.3, n)[:, None, None, None]
    return clean + noise, clean


def finished(metrics, outputs: torch.Tensor, targets: torch.Tensor, batch_size: int) -> dict[str, float]:
    for batch in zip(outputs.split(batch_size), targets.split(batch_size), strict=True):
        metrics.update(*batch)
    assert metrics.state().ndim == 1
    return metrics.figures(metrics.state().tolist())


@pytest.mark.parametrize("batch_size", [1, 4, 100])
@pytest.mark.parametrize("shape", [(10, 1), (7, 3), (5, 2, 4, 3)])
def test_errors_are_torchmetrics(shape, batch_size):
    outputs, targets = torch.randn(2, *shape, generator=seeded())
    figures = finished(ErrorMetrics(CPU), outputs, targets, batch_size)
    for name, oracle in (("mse", MeanSquaredError()), ("mae", MeanAbsoluteError())):
        assert figures[name] == pytest.approx(oracle(outputs, targets).item(), rel=1e-6)


def test_errors_are_summed_in_float64():
    """A float32 sum of so many small squares would stop growing."""
    metrics, ones = ErrorMetrics(CPU), torch.full((2**20, 1), 0.1)
    for _ in range(40):
        metrics.update(ones, torch.zeros_like(ones))
    assert metrics.figures(metrics.state().tolist())["mae"] == pytest.approx(0.1, rel=1e-7)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_psnr_is_torchmetrics_of_each_image_clipped(batch_size):
    """torchmetrics takes the logarithm of one error over all images, unless it is given them one by one."""
    outputs, targets = pictures()
    oracle = PeakSignalNoiseRatio(data_range=1.0, reduction="elementwise_mean", dim=(1, 2, 3))
    expected = oracle(outputs.clamp(0, 1), targets).item()
    assert psnr(outputs, targets).mean().item() == pytest.approx(expected, rel=1e-6)
    assert finished(PSNRMetrics(CPU), outputs, targets, batch_size)["psnr"] == pytest.approx(expected, rel=1e-6)


def test_psnr_by_hand():
    white, grey = torch.ones(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.9)
    assert psnr(grey, white).item() == pytest.approx(20, rel=1e-5)
    assert psnr(torch.zeros_like(white), white).item() == pytest.approx(0, abs=1e-6)
    assert psnr(7 * white, white).item() == 100  # clipped to white; an image without an error is given 100 dB
    assert math.isfinite(psnr(white, white).item())


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_is_torchmetrics(channels):
    """On the inside: its map also has windows that reach over the border, onto a reflection, which we leave out."""
    outputs, targets = pictures(channels=channels)
    oracle = StructuralSimilarityIndexMeasure(data_range=1.0, reduction="none", return_full_image=True)
    _, whole_map = oracle(outputs.clamp(0, 1).double(), targets.double())
    assert whole_map.shape == outputs.shape
    found = ssim(outputs, targets)
    torch.testing.assert_close(found, whole_map[..., 5:-5, 5:-5].flatten(1).mean(1), rtol=1e-6, atol=1e-7)
    assert found[0] > 0.9 > 0.5 > found[-1]


def test_ssim_of_an_image_with_itself_is_one_and_does_not_hang_on_the_batch():
    outputs, targets = pictures()
    assert ssim(targets, targets).tolist() == pytest.approx([1] * 6)
    one_by_one = torch.cat([ssim(o[None], t[None]) for o, t in zip(outputs, targets, strict=True)])
    torch.testing.assert_close(ssim(outputs, targets), one_by_one)
    assert ssim(outputs[:0], targets[:0]).shape == (0,)


@pytest.mark.parametrize(("size", "sigma"), [(3, 1.0), (5, 0.7), (11, 1.5)])
def test_gaussian_filter_is_torchvisions(size, sigma):
    images, _ = pictures()
    torch.testing.assert_close(gaussian_filter(images, size, sigma), gaussian_blur(images, [size, size], [sigma] * 2))


def test_gaussian_filter_is_scipys():
    """Whose border without a repeated edge is called mirror."""
    images = pictures()[0].double()
    expected = ndimage.gaussian_filter(images.numpy(), 1.0, mode="mirror", radius=1, axes=(2, 3))
    torch.testing.assert_close(gaussian_filter(images), torch.from_numpy(expected), rtol=1e-10, atol=1e-12)
