"""weights=…: what is loaded, adapted, left out or refused; freeze=true: what may move. No network is asked."""

import socket
import urllib.error

import pytest
import torch
from nets import gradients_of_a_step

from dlhw.errors import UserError
from dlhw.model.pretrained import TIMEOUT, adapt_kernels, load_weights
from dlhw.model.resnet50 import ResNet50
from dlhw.model.resnet50_unet import ResNet50UNet
from dlhw.model.vgg16 import VGG16


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A stand-in for torchvision's file: a ResNet-50 of 1000 classes with weights and statistics of its own."""
    torch.manual_seed(5)
    net = ResNet50(3, 1000, "imagenet")
    for name, buffer in net.named_buffers():
        if not name.endswith("num_batches_tracked"):
            buffer.uniform_(0.5, 1.5)
    path = tmp_path_factory.mktemp("weights") / "resnet50.pth"
    torch.save(net.state_dict(), path)
    return net, str(path)


def same(ours, theirs, but=()):
    names = [name for name in theirs if name in ours and not name.startswith(tuple(but))]
    assert len(names) > 300
    return all(torch.equal(ours[name], theirs[name]) for name in names)


def test_the_same_net_gets_all_weights_and_gives_the_same_logits(published):
    net, path = published
    ours = ResNet50(3, 1000, "imagenet", weights=path)
    assert same(ours.state_dict(), net.state_dict())
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours.eval()(images), net.eval()(images))


def test_another_number_of_classes_keeps_its_own_head(published):
    net, path = published
    torch.manual_seed(0)
    plain = ResNet50(3, 10, "imagenet")
    torch.manual_seed(0)
    ours = ResNet50(3, 10, "imagenet", weights=path)
    assert same(ours.state_dict(), net.state_dict(), but=["fc."])
    assert torch.equal(ours.fc.weight, plain.fc.weight)


def test_a_grey_image_gets_the_response_of_three_equal_channels(published):
    net, path = published
    grey = torch.rand(2, 1, 20, 20)
    ours = ResNet50(1, 10, "imagenet", weights=path)
    with torch.no_grad():
        torch.testing.assert_close(ours.conv1(grey), net.conv1(grey.expand(-1, 3, -1, -1)))
    assert same(ours.state_dict(), net.state_dict(), but=["fc.", "conv1."])


def test_a_small_stem_gets_the_middle_of_the_kernels(published):
    net, path = published
    ours = ResNet50(3, 10, "cifar", weights=path)
    assert torch.equal(ours.conv1.weight, net.conv1.weight[:, :, 2:5, 2:5])
    assert same(ours.state_dict(), net.state_dict(), but=["fc.", "conv1."])


def test_kernels_for_four_channels_are_shared_out():
    kernels = torch.rand(8, 3, 3, 3)
    adapted = adapt_kernels(kernels, torch.Size([8, 4, 3, 3]))
    assert adapted.shape == (8, 4, 3, 3)
    torch.testing.assert_close(adapted.sum(1), kernels.sum(1))


def test_the_unets_encoder_gets_them(published):
    net, path = published
    ours = ResNet50UNet(1, 5, base_channels=4, weights=path)
    assert same(ours.encoder.state_dict(), net.state_dict(), but=["fc.", "conv1."])


def test_weights_of_an_old_file_without_batch_counts(published, tmp_path):
    net, _ = published
    state = {name: t for name, t in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "old.pth")
    ResNet50(3, 10, weights=str(tmp_path / "old.pth"))


def test_a_runs_checkpoint_is_a_file_too(published, tmp_path):
    net, _ = published
    torch.save({"model": net.state_dict(), "epoch": 3}, tmp_path / "best.pt")
    ours = ResNet50(3, 1000, "imagenet", weights=str(tmp_path / "best.pt"))
    assert torch.equal(ours.fc.weight, net.fc.weight)


def test_vgg16_takes_the_convolutions_where_the_head_is_another(tmp_path):
    theirs = VGG16(3, 32, 10, batchnorm=False)
    state = {name: t for name, t in theirs.state_dict().items() if name.startswith("features.")}
    # torchvision's head, of which no more than the shapes matter here
    for layer, n_in, n_out in ((0, 25088, 4096), (3, 4096, 4096), (6, 4096, 1000)):
        state[f"classifier.{layer}.weight"] = torch.zeros(1).expand(n_out, n_in)
        state[f"classifier.{layer}.bias"] = torch.zeros(1).expand(n_out)
    torch.save(state, tmp_path / "vgg16.pth")
    torch.manual_seed(0)
    plain = VGG16(1, 28, 10, batchnorm=False)
    torch.manual_seed(0)
    ours = VGG16(1, 28, 10, batchnorm=False, weights=str(tmp_path / "vgg16.pth"), freeze=True)
    assert torch.equal(ours.features[2].weight, theirs.features[2].weight)
    assert torch.equal(ours.features[0].weight, theirs.features[0].weight.sum(1, keepdim=True))
    assert torch.equal(ours.classifier[1].weight, plain.classifier[1].weight)
    assert {n.partition(".")[0] for n, p in ours.named_parameters() if p.requires_grad} == {"classifier"}


UNKNOWN = "and there is no such file"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ResNet50(3, 10, weights="IMAGENET1K_V3"), f"has IMAGENET1K_V1, IMAGENET1K_V2 for resnet50, {UNKNOWN}"),
        (lambda: ResNet50UNet(3, 2, weights="imagenet"), f"has IMAGENET1K_V1, IMAGENET1K_V2 for resnet50, {UNKNOWN}"),
        (lambda: ResNet50(3, 10, block="basic", weights="IMAGENET1K_V2"), f"has IMAGENET1K_V1 for resnet34, {UNKNOWN}"),
        (lambda: VGG16(3, 32, 10, weights="IMAGENET1K_V2"), f"has IMAGENET1K_V1 for vgg16_bn, {UNKNOWN}"),
        (lambda: VGG16(3, 32, 10, False, weights="IMAGENET1K_FEATURES"), f"has IMAGENET1K_V1 for vgg16, {UNKNOWN}"),
        (lambda: ResNet50(3, 10, block="preact", weights="IMAGENET1K_V2"), "has none for block=preact, layers=[3, 4,"),
        (lambda: ResNet50(3, 10, layers=[2, 2, 2, 2], weights="IMAGENET1K_V2"), "has none for block=bottleneck, lay"),
    ],
)
def test_names_that_torchvision_does_not_have(make, words):
    with pytest.raises(ValueError, match=r"^weights=\w+: torchvision ") as refusal:
        make()
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda s: s | {"layer5.0.conv1.weight": torch.zeros(1)},
            "holds layer5.0.conv1.weight, which this net does no",
        ),
        (lambda s: {n: t for n, t in s.items() if n != "layer1.0.conv2.weight"}, "lacks layer1.0.conv2.weight"),
        (lambda s: s | {"layer1.0.bn1.bias": torch.zeros(3)}, "its layer1.0.bn1.bias is (3,), this net's is (64,)"),
        (
            lambda s: s | {"conv1.weight": torch.zeros(32, 3, 7, 7)},
            "its conv1.weight is (32, 3, 3, 3), this net's is (6",
        ),
        (lambda s: {n: t for n, t in s.items() if n != "conv1.weight"}, "lacks conv1.weight"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(published, change, words):
    net = ResNet50(3, 10)
    before = net.conv1.weight.clone()
    with pytest.raises(ValueError, match=r"^weights=other.pth: ") as refusal:
        load_weights(net, change(published[0].state_dict()), "other.pth", first="conv1", head="fc")
    assert torch.equal(net.conv1.weight, before)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04broken", b"\x80\x02}q\x00."])
def test_files_that_hold_no_weights(tmp_path, content):
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(UserError) as refusal:
        ResNet50(3, 10, weights=str(path))
    assert str(refusal.value).startswith(f"weights={path}: ")
    assert "\n" not in str(refusal.value)


def test_a_list_is_no_state_dict(tmp_path):
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    with pytest.raises(UserError, match="holds no state_dict"):
        ResNet50(3, 10, weights=str(tmp_path / "list.pth"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (urllib.error.URLError(socket.gaierror(-2, "Name or service not known")), "Name or service not known"),
        (urllib.error.URLError(TimeoutError("timed out")), "silent for 20 s"),
        (TimeoutError("timed out"), "silent for 20 s"),
        (urllib.error.HTTPError("https://x", 403, "Forbidden", None, None), "HTTP Error 403: Forbidden"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (RuntimeError('invalid hash value (expected "0676ba61", got "00")'), "invalid hash value"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_network(monkeypatch, tmp_path, error, words):
    """It fails with one line that says what can be done, under a timeout that is taken back afterwards."""
    timeouts = []

    def refuse(*_, **__):
        timeouts.append(socket.getdefaulttimeout())
        raise error

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    with pytest.raises(UserError) as refusal:
        ResNet50(3, 10, weights="IMAGENET1K_V2")
    message = str(refusal.value)
    assert message.startswith("weights=IMAGENET1K_V2: could not be had for resnet50 (")
    assert words in message
    assert "(from https://download.pytorch.org/models/resnet50-11ad3fa6.pth)" in message
    assert f"into {tmp_path}" in message
    assert "\n" not in message
    assert timeouts == [TIMEOUT]
    assert socket.getdefaulttimeout() is None
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_published_weights_come_from_torch_hubs_cache(published, monkeypatch):
    net, path = published
    asked = []
    monkeypatch.setattr(
        torch.hub, "load_state_dict_from_url", lambda url, **kw: (asked.append((url, kw)), torch.load(path))[1]
    )
    ours = ResNet50(3, 10, weights="IMAGENET1K_V1")
    assert same(ours.state_dict(), net.state_dict(), but=["fc.", "conv1."])
    ((url, options),) = asked
    assert url == "https://download.pytorch.org/models/resnet50-0676ba61.pth"
    assert options["check_hash"]


FROZEN = {
    "resnet50": (lambda: ResNet50(3, 10, "imagenet", freeze=True), "fc.", (2, 3, 32, 32)),
    "resnet50_preact": (lambda: ResNet50(3, 10, block="preact", freeze=True), "fc.", (2, 3, 16, 16)),
    "vgg16": (lambda: VGG16(3, 32, 10, dropout=0.0, freeze=True), "classifier.", (2, 3, 32, 32)),
    "resnet50_unet": (lambda: ResNet50UNet(3, 4, 4, freeze=True), ("up.", "head."), (2, 3, 40, 33)),
}


@pytest.mark.parametrize("name", FROZEN)
def test_a_step_leaves_what_is_frozen_as_it_was(name):
    make, head, shape = FROZEN[name]
    net = make()
    for training in (True, False, True):
        net.train(training)
    before = {name: t.clone() for name, t in net.state_dict().items()}
    first, second = gradients_of_a_step(net, torch.rand(shape))
    assert second < first
    moved = {name for name, t in net.state_dict().items() if not torch.equal(t, before[name])}
    assert moved
    assert all(name.startswith(head) for name in moved)
    learning = {name for name, p in net.named_parameters() if p.requires_grad}
    assert learning == {name for name, _ in net.named_parameters() if name.startswith(head)}
    assert learning <= moved


def test_what_is_not_frozen_moves():
    net = ResNet50(3, 10, "imagenet")
    before = {name: t.clone() for name, t in net.state_dict().items()}
    gradients_of_a_step(net, torch.rand(2, 3, 32, 32))
    assert all(p.grad.any() for p in net.parameters())
    assert not {name for name, t in net.state_dict().items() if "running" in name and torch.equal(t, before[name])}
