import io

import numpy as np
import pytest
import torch
from torchvision.transforms import Normalize, ToTensor

from dlhw.dataset.preprocess import Preprocess, measure


@pytest.fixture
def images():
    return torch.randint(0, 256, (50, 3, 9, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("channels_last", [False, True])
def test_scaling_is_exactly_totensor(images, channels_last):
    got = Preprocess(channels_last=channels_last)(images)
    theirs = torch.stack([ToTensor()(image.permute(1, 2, 0).numpy()) for image in images])
    assert torch.equal(got, theirs)
    assert got.is_contiguous(memory_format=torch.channels_last) or not channels_last


def test_normalising_is_exactly_torchvisions(images):
    preprocess = measure([images], "channel").to(torch.device("cpu"))
    mean, std = (value.flatten().tolist() for value in (preprocess.mean, preprocess.std))
    assert torch.equal(preprocess(images), Normalize(mean, std)(images / 255))


@pytest.mark.parametrize(("normalize", "axes"), [("channel", (0, 2, 3)), ("pixel", (0,))])
@pytest.mark.parametrize("chunk", [7, 50])
def test_mean_and_std_are_numpys(images, normalize, axes, chunk):
    preprocess = measure(images.split(chunk), normalize)
    scaled = images.numpy() / 255.0
    np.testing.assert_allclose(preprocess.mean, scaled.mean(axes, keepdims=True)[0], rtol=1e-12)
    np.testing.assert_allclose(preprocess.std, scaled.std(axes, keepdims=True)[0], rtol=1e-12)


def test_a_constant_pixel_becomes_zero(images):
    images[:, :, 0, 0] = 77
    preprocess = measure([images], "pixel", dtype=torch.float64).to(torch.device("cpu"))
    assert (preprocess.std[:, 0, 0] == 1).all()
    assert preprocess(images)[:, :, 0, 0].abs().max() < 1e-15


def test_white_images_of_any_number_do_not_overflow():
    white = torch.full((1, 1, 600, 600), 255, dtype=torch.uint8)
    preprocess = measure([white] * 40, "channel")
    assert preprocess.mean.item() == 1.0
    assert preprocess.std.item() == 1.0


@pytest.mark.parametrize("normalize", ["none", "channel", "pixel"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_state_survives_a_checkpoint(images, normalize, dtype):
    preprocess = measure([images], normalize, dtype)
    file = io.BytesIO()
    torch.save(preprocess.state_dict(), file)
    file.seek(0)
    again = Preprocess.from_state_dict(torch.load(file, weights_only=True), dtype)
    device = torch.device("cpu")
    assert torch.equal(again.to(device)(images), preprocess.to(device)(images))
    assert again(images).dtype == dtype
