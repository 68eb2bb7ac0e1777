"""What holds for every net: shapes, a gradient for every parameter, a step that helps, a state that can be rebuilt."""

import inspect
from pathlib import Path
from pkgutil import resolve_name

import pytest
import torch
import yaml
from nets import CLASSIFIERS, RNNS, UNETS, gradients_of_a_step

from dlhw.config.shipped import conf_dir

NETS = {
    **{name: (lambda make=make: make(3, 32), (4, 3, 32, 32)) for name, make in CLASSIFIERS.items()},
    **{name: (lambda make=make: make(3, 5), (2, 3, 40, 17)) for name, make in UNETS.items()},
    **{name: (make, (4, 7, 2)) for name, make in RNNS.items()},
}
for name in ("resnet50", "resnet50_preact", "resnet50_basic"):  # which keep the size for long
    NETS[name] = (NETS[name][0], (4, 3, 16, 16))


@pytest.mark.parametrize(("in_channels", "image_size"), [(1, 28), (3, 28), (1, 32), (3, 32)])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_take_28_and_32_pixels_and_1_or_3_channels(name, in_channels, image_size):
    with torch.device("meta"):
        net = CLASSIFIERS[name](in_channels, image_size)
        assert net(torch.rand(2, in_channels, image_size, image_size)).shape == (2, 10)


@pytest.mark.parametrize("size", [(64, 64), (50, 37), (28, 28), (17, 96), (1, 5)])
@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("name", UNETS)
def test_unets_take_any_size_and_give_it_back(name, in_channels, size):
    with torch.device("meta"):
        net = UNETS[name](in_channels, 11)
        assert net(torch.rand(2, in_channels, *size)).shape == (2, 11, *size)


@pytest.mark.parametrize("name", NETS)
def test_a_step_reaches_every_parameter_and_lowers_the_loss(name):
    make, shape = NETS[name]
    net = make()
    before, after = gradients_of_a_step(net, torch.rand(shape))
    assert after < before
    untouched = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert untouched == []


@pytest.mark.parametrize("name", ["cnn_changed", "vgg16_bn", "resnet50", "unet_bilinear", "resnet50_unet", *RNNS])
def test_the_same_seed_gives_the_same_net_and_a_state_dict_rebuilds_it(name):
    make, shape = NETS[name]
    torch.manual_seed(3)
    first = make().eval()
    torch.manual_seed(3)
    again = make()
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    other = make().eval()
    other.load_state_dict(first.state_dict())
    with torch.no_grad():
        inputs = torch.rand(2, *shape[1:])
        assert torch.equal(other(inputs), first(inputs))


@pytest.mark.parametrize("name", ["cnn_changed", "vgg16_bn", "resnet50_imagenet", "resnet50_preact", "unet_bilinear"])
def test_channels_last_and_bf16_change_no_more_than_rounding(name):
    make, shape = NETS[name]
    net = make().eval()
    with torch.no_grad():
        inputs = torch.rand(2, *shape[1:])
        expected = net(inputs)
        packed = net.to(memory_format=torch.channels_last)
        outputs = packed(inputs.to(memory_format=torch.channels_last))
        torch.testing.assert_close(outputs, expected, rtol=1e-3, atol=1e-4)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = packed(inputs)
    assert (rounded - expected).abs().max() < 0.05 * expected.abs().max()


FILES = ["convnet", "vgg16", "resnet50", "unet", "resnet50_unet", "rnn"]


@pytest.mark.parametrize("file", FILES)
def test_a_yaml_holds_every_argument_of_its_class(file):
    content = yaml.safe_load(Path(conf_dir(), "model", f"{file}.yaml").read_text())
    target = resolve_name(content.pop("_target_"))
    parameters = inspect.signature(target).parameters
    assert list(content) == [name for name in content if name in parameters]
    assert set(content) == set(parameters)
    facts = {name: value for name, value in content.items() if str(value).startswith("${")}
    assert facts == {name: f"${{dataset.{name}}}" for name in facts}
    sizes = {"in_channels": 3, "image_size": 32, "num_classes": 10, "out_channels": 2} | dict.fromkeys(
        ("in_features", "out_features"), 1
    )
    with torch.device("meta"):
        target(**{**content, **{name: sizes[name] for name in facts}})
