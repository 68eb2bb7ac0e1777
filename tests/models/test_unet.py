"""U-Net and its ResNet-50 sister: parameters by hand, padding and cropping, upsampling."""

import pytest
import torch
from nets import count
from torch import nn
from torch.nn import functional as F

from dlhw.model.resnet50_unet import ResNet50UNet
from dlhw.model.unet import UNet, Up, padded


def conv(n_in, n_out, k, bias=True):
    return n_in * n_out * k * k + (n_out if bias else 0)


def block(n_in, n_out, batchnorm):
    """Two 3x3 convolutions: with a bias each, or two batch norms of two numbers a channel."""
    return conv(n_in, n_out, 3, False) + conv(n_out, n_out, 3, False) + 2 * n_out * (2 if batchnorm else 1)


def unet_by_hand(c_in, c_out, base, depth, batchnorm, upsample):
    widths = [base * 2**level for level in range(depth + 1)]
    down = sum(block(a, b, batchnorm) for a, b in zip([c_in, *widths], widths, strict=False))
    k = {"transposed": 2, "bilinear": 1}[upsample]
    up = sum(conv(2 * w, w, k) + block(2 * w, w, batchnorm) for w in widths[:-1])
    return down + up + conv(base, c_out, 1)


@pytest.mark.parametrize("batchnorm", [True, False])
@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("upsample", ["bilinear", "transposed"])
def test_parameters(upsample, depth, batchnorm):
    net = UNet(1, 11, 16, depth, batchnorm, upsample)
    assert count(net) == unet_by_hand(1, 11, 16, depth, batchnorm, upsample)


def test_totals_once_more():
    assert count(UNet(1, 11)) == 1811899
    assert count(UNet(1, 11, upsample="transposed")) == 1942459
    with torch.device("meta"):
        assert count(UNet(1, 11, base_channels=64, upsample="transposed")) == 31037131


def test_resnet50_unet_parameters():
    with torch.device("meta"):
        net = ResNet50UNet(3, 3)
    assert count(net.encoder) == 25557032 - (2048 * 1000 + 1000)
    widths, skips = [16, 32, 64, 128, 256, 2048], [3, 64, 256, 512, 1024]
    up = sum(
        conv(deep, w, 1) + conv(w + s, w, 3, False) + conv(w, w, 3, False) + 4 * w
        for deep, w, s in zip(widths[1:], widths, skips, strict=False)
    )
    assert count(net) == count(net.encoder) + up + conv(16, 3, 1) == 28765139


def test_padding_is_cut_away_again():
    images = torch.rand(2, 3, 50, 37)
    larger, crop = padded(images, 16)
    assert larger.shape == (2, 3, 64, 48)
    assert torch.equal(crop(larger), images)
    assert torch.equal(larger[:, :, 0, 5:42], images[:, :, 0])  # the edge repeated
    same, crop = padded(images[..., :48, :32], 16)
    assert same.shape == (2, 3, 48, 32)
    assert torch.equal(crop(same), images[..., :48, :32])


@pytest.mark.parametrize(
    ("make", "sides"), [(lambda: UNet(1, 2, 4), (5, 6)), (lambda: ResNet50UNet(1, 2, 4), (13, 14))]
)
def test_any_size_is_that_size_padded_by_hand(make, sides):
    """The input's middle, not a corner: outputs stand where their inputs stand."""
    net = make().eval()
    images = torch.rand(1, 1, 50, 37)
    by_hand = F.pad(images, (*sides, 7, 7), mode="replicate")
    with torch.no_grad():
        torch.testing.assert_close(net(images), net(by_hand)[..., 7:57, sides[0] : sides[0] + 37])


def test_bilinear_upsampling_before_or_after_its_convolution_is_the_same():
    up = Up(6, 2, 3, "bilinear", batchnorm=True, activation="relu").eval()
    x, skip = torch.rand(2, 6, 5, 4), torch.rand(2, 2, 10, 8)
    after = up.upsample[0](F.interpolate(x, scale_factor=2, mode="bilinear"))
    torch.testing.assert_close(up.upsample(x), after)
    torch.testing.assert_close(up(x, skip), up.block(torch.cat([skip, after], 1)))


def test_the_uppermost_map_reaches_the_output():
    """One pixel of the input moves that pixel of the output though all below is cut off."""
    net = UNet(1, 1, 4, depth=2, batchnorm=False, activation="silu")
    for up in net.up:
        nn.init.zeros_(up.upsample[0].weight)
    images = torch.rand(1, 1, 16, 16, requires_grad=True)
    net(images)[0, 0, 3, 12].backward()
    assert images.grad[0, 0, 3, 12] != 0
    assert images.grad[0, 0, 12, 3] == 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: UNet(1, 2, base_channels=0), "base_channels=0: must be at least 1"),
        (lambda: UNet(1, 2, depth=0), "depth=0: must be at least 1"),
        (lambda: ResNet50UNet(1, 0), "out_channels=0: must be at least 1"),
    ],
)
def test_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
