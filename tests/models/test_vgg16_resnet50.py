"""VGG-16 and ResNet-50 against torchvision's, whose names and shapes they have."""

import pytest
import torch
import torchvision
from nets import count
from torch import nn

from dlhw.model.resnet50 import ResNet50
from dlhw.model.vgg16 import VGG16

IMAGES = (2, 3, 64, 64)


def on_meta(make):
    with torch.device("meta"):
        return make()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: VGG16(3, 224, 1000, batchnorm=False, stem="imagenet"), 138357544),
        (lambda: VGG16(3, 224, 1000, batchnorm=True, stem="imagenet"), 138365992),
        (lambda: VGG16(3, 32, 10, batchnorm=False), 14714688 + (512 * 10 + 10)),
        (lambda: VGG16(3, 32, 10), 14714688 + 2 * 4224 + (512 * 10 + 10)),
        (lambda: ResNet50(3, 1000, "imagenet"), 25557032),
        (lambda: ResNet50(3, 1000, "imagenet", "bottleneck_v1"), 25557032),
        (lambda: ResNet50(3, 1000, "imagenet", "basic"), 21797672),  # torchvision's resnet34
        (lambda: ResNet50(3, 10), 25557032 - 64 * 3 * (49 - 9) - 990 * 2049),
        (lambda: ResNet50(1, 10), 25557032 - 64 * (147 - 9) - 990 * 2049),
        (lambda: ResNet50(3, 10, "imagenet", "bottleneck_v1", [3, 4, 6]), 8543296 + 1024 * 10 + 10),
    ],
)
def test_parameters(make, expected):
    assert count(on_meta(make)) == expected


def same_logits(ours, theirs):
    """Theirs with random weights and batch statistics; both in evaluation."""
    for name, buffer in theirs.named_buffers():
        if not name.endswith("num_batches_tracked"):
            buffer.uniform_(0.5, 1.5)
    ours.load_state_dict(theirs.state_dict(), assign=True)
    with torch.no_grad():
        images = torch.rand(IMAGES)
        expected = theirs.eval()(images)
        assert expected.std() > 0
        assert torch.equal(ours.eval()(images), expected)


@pytest.mark.parametrize("block", ["bottleneck", "basic"])
def test_torchvisions_resnet_state_dict_gives_its_logits(block):
    theirs = torchvision.models.resnet50() if block == "bottleneck" else torchvision.models.resnet34()
    same_logits(on_meta(lambda: ResNet50(3, 1000, "imagenet", block)), theirs)


def test_torchvisions_vgg16_bn_state_dict_gives_its_logits():
    theirs = torchvision.models.vgg16_bn(init_weights=False)
    same_logits(on_meta(lambda: VGG16(3, 64, 1000, stem="imagenet")), theirs)


def test_names_are_torchvisions():
    theirs = on_meta(lambda: torchvision.models.vgg16(init_weights=False)).state_dict()
    ours = on_meta(lambda: VGG16(3, 64, 1000, batchnorm=False, stem="imagenet")).state_dict()
    assert {n: t.shape for n, t in ours.items()} == {n: t.shape for n, t in theirs.items()}


def test_small_images_are_padded_to_32_for_vgg16():
    net = VGG16(1, 28, 10).eval()
    images = torch.rand(2, 1, 28, 28)
    larger = VGG16(1, 32, 10).eval()
    larger.load_state_dict(net.state_dict())
    with torch.no_grad():
        assert torch.equal(net(images), larger(nn.functional.pad(images, (2, 2, 2, 2))))


@pytest.mark.parametrize("block", ["bottleneck", "bottleneck_v1", "preact", "basic"])
def test_maps_halve_from_stage_to_stage(block):
    for stem, sides in (("cifar", [32, 32, 16, 8, 4]), ("imagenet", [16, 8, 4, 2, 1])):
        with torch.no_grad():
            maps = ResNet50(3, 10, stem, block).eval().maps(torch.rand(1, 3, 32, 32))
        assert [m.shape[-1] for m in maps] == sides
        wide = 1 if block == "basic" else 4
        assert [m.shape[1] for m in maps] == [64, *(wide * n for n in (64, 128, 256, 512))]


def test_the_blocks_differ_in_where_they_halve():
    """torchvision's in the 3x3, the paper's in the first 1x1."""
    for block, strides in (("bottleneck", (1, 2)), ("bottleneck_v1", (2, 1))):
        first = on_meta(lambda block=block: ResNet50(3, 10, block=block)).layer2[0]
        assert (first.conv1.stride[0], first.conv2.stride[0]) == strides


def test_preact_by_hand():
    net = ResNet50(3, 10, block="preact").eval()
    x = torch.randn(2, 64, 8, 8)
    block = net.layer1[0]
    with torch.no_grad():
        for module in block.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-1, 1)
        pre = torch.relu(block.bn1(x))
        out = block.conv3(torch.relu(block.bn3(block.conv2(torch.relu(block.bn2(block.conv1(pre)))))))
        torch.testing.assert_close(block(x), out + block.downsample(pre))
    assert isinstance(block.downsample, nn.Conv2d)
    assert [type(m).__name__ for m in net.layer4] == ["PreactBottleneck"] * 3 + ["BatchNorm2d", "ReLU"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ResNet50(3, 10, layers=[3, 4]), "layers=[3, 4]: must be 4 whole numbers, each at least 1"),
        (lambda: ResNet50(3, 10, layers=[3, 4, 0]), "layers=[3, 4, 0]: must be 3 whole numbers"),
        (lambda: ResNet50(0, 10), "in_channels=0: must be at least 1"),
        (lambda: VGG16(3, 32, 10, dropout=1.0), "dropout=1.0: must be at least 0 and below 1"),
        (lambda: VGG16(3, 0, 10), "image_size=0: must be at least 1"),
    ],
)
def test_refused(make, words):
    with pytest.raises(ValueError, match="must be") as refusal:
        make()
    assert str(refusal.value).startswith(words)
