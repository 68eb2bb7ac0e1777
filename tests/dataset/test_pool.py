import numpy as np
import pytest
from PIL import Image
from torchvision.transforms.v2 import functional as vision

from dlhw.dataset import pool
from dlhw.dataset.pool import convert, recolour, resize


def test_luma_is_pillows(rng):
    images = rng.integers(0, 256, (5, 3, 17, 17), np.uint8)
    for image, grey in zip(images, recolour(images, 1), strict=True):
        np.testing.assert_array_equal(grey[0], np.asarray(Image.fromarray(image.transpose(1, 2, 0)).convert("L")))


def test_grey_to_colour_repeats(rng):
    images = rng.integers(0, 256, (5, 1, 8, 8), np.uint8)
    np.testing.assert_array_equal(recolour(images, 3), np.concatenate([images] * 3, axis=1))


@pytest.mark.parametrize("size", [5, 13, 28, 40])
def test_resize_agrees_with_torchvision(rng, size):
    import torch

    images = rng.integers(0, 256, (4, 3, 20, 20), np.uint8)
    theirs = vision.resize_image(torch.from_numpy(images).float(), [size, size], antialias=True)
    got = resize(images, size)
    assert got.shape == (4, 3, size, size)
    assert got.dtype == np.uint8
    assert np.abs(got - theirs.numpy()).max() <= 0.5 + 1e-4


@pytest.mark.parametrize(("channels", "size"), [(1, 20), (3, 20), (1, 12), (3, 31)])
def test_convert_in_chunks_is_convert_at_once(rng, monkeypatch, channels, size):
    images, rows = rng.integers(0, 256, (23, 3, 20, 20), np.uint8), np.array([1, 5, 6, 20, 22])
    at_once = convert(images, rows, channels, size)
    monkeypatch.setattr(pool, "CHUNK_BYTES", 1)
    np.testing.assert_array_equal(convert(images, rows, channels, size), at_once)
    if (channels, size) == (3, 20):
        np.testing.assert_array_equal(at_once, images[rows])
