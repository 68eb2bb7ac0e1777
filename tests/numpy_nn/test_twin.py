"""A model's twin against the model itself, in float64: outputs, gradients, modes, memory, and what has no twin."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dlhw.backend.adapters import TwinModule
from dlhw.backend.optimizer import TwinOptimizer
from dlhw.backend.twin import Net
from dlhw.errors import UserError
from dlhw.model.convnet import ConvNet
from dlhw.model.fc import FC
from dlhw.model.layers import ACTIVATIONS
from dlhw.model.lenet5 import LeNet5
from dlhw.model.resnet50 import ResNet50
from dlhw.model.resnet50_unet import ResNet50UNet
from dlhw.model.rnn import RNN
from dlhw.model.unet import UNet
from dlhw.model.vgg16 import VGG16
from dlhw.summary import evaluating
from dlhw.views import activation_histograms


@pytest.fixture(autouse=True)
def one_thread_and_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


MODELS = {  # and the shape of their inputs
    **{f"fc_{a}": (lambda a=a: FC(12, 3, [8, 5], a, batchnorm=True), (7, 3, 2, 2)) for a in ACTIVATIONS},
    "fc_output": (lambda: FC(2, 1, [4], output_activation="sigmoid", init="normal", std=1.0), (4, 2)),
    "lenet5": (lambda: LeNet5(1, 28, 10, [2, 3, 8]), (3, 1, 28, 28)),
    "lenet5_max": (lambda: LeNet5(2, 32, 10, [2, 3, 8], "relu", "max", batchnorm=True), (3, 2, 32, 32)),
    "simple_convnet": (lambda: ConvNet(1, 12, 10, [4], [10], 5, 0, init="normal", std=0.1), (3, 1, 12, 12)),
    "cnn_changed": (
        lambda: ConvNet(1, 16, 10, [4, 4, 6, 6], [8], 3, 1, ["none", "max", "none", "avg"], batchnorm=True),
        (3, 1, 16, 16),
    ),
    "rnn": (lambda: RNN(2, 3, hidden_size=6), (4, 7, 2)),
    "resnet50_v1": (lambda: ResNet50(1, 4, "imagenet", "bottleneck_v1", [1, 1, 1]), (4, 1, 32, 32)),
    "resnet50_preact": (lambda: ResNet50(1, 4, block="preact", layers=[1, 2, 1]), (3, 1, 9, 10)),
    "resnet50_basic": (lambda: ResNet50(1, 4, block="basic", layers=[1, 1, 1]), (3, 1, 16, 16)),
    "unet": (lambda: UNet(1, 3, 2, depth=2), (2, 1, 13, 16)),
    "unet_no_padding": (lambda: UNet(1, 3, 2, depth=2, batchnorm=False), (2, 1, 8, 16)),
    "unet_transposed": (lambda: UNet(2, 3, 2, 2, upsample="transposed", activation="silu"), (2, 2, 7, 6)),
}
LARGE = {
    "vgg16": (lambda: VGG16(1, 28, 10, batchnorm=False, dropout=0.0), (2, 1, 28, 28)),
    "vgg16_bn": (lambda: VGG16(1, 32, 10, dropout=0.0), (2, 1, 32, 32)),
    "resnet50": (lambda: ResNet50(1, 10), (3, 1, 16, 16)),
    "resnet50_imagenet": (lambda: ResNet50(1, 10, stem="imagenet"), (4, 1, 64, 64)),
    "resnet50_unet": (lambda: ResNet50UNet(1, 3, base_channels=4), (2, 1, 60, 64)),
}


def pair(module: nn.Module) -> tuple[nn.Module, TwinModule]:
    """A module in float64, and the twin of a copy."""
    module = module.double()
    return module, TwinModule(copy.deepcopy(module))


def assert_same_gradients(module: nn.Module, twin: nn.Module, relative: float) -> None:
    """atol: the gradient of a bias before batch norm is zero, and what both backends give is rounding."""
    largest = max(p.grad.abs().max() for p in module.parameters())
    for (name, p), (same, q) in zip(module.named_parameters(), twin.named_parameters(), strict=True):
        assert name == same
        torch.testing.assert_close(q.grad, p.grad, rtol=relative, atol=relative * float(largest), msg=name)


def assert_same_pass(module: nn.Module, inputs: torch.Tensor, relative: float) -> tuple[nn.Module, TwinModule]:
    """Outputs and gradients in training, the buffers that it moved, and outputs in evaluation."""
    module, twin = pair(module)
    outputs, same = module(inputs), twin(inputs)
    scale = float(outputs.detach().abs().max())
    torch.testing.assert_close(same, outputs, rtol=relative, atol=relative * scale)
    weights = torch.randn_like(outputs)
    for y in (outputs, same):
        (y * weights).sum().backward()
    assert_same_gradients(module, twin, relative)
    torch.testing.assert_close(dict(twin.named_buffers()), dict(module.named_buffers()), rtol=relative, atol=relative)
    with evaluating(module), evaluating(twin), torch.no_grad():
        torch.testing.assert_close(twin(inputs), module(inputs), rtol=relative, atol=relative * scale)
    return module, twin


@pytest.mark.parametrize("name", MODELS)
def test_every_model(name):
    make, shape = MODELS[name]
    assert_same_pass(make(), torch.randn(shape, dtype=torch.float64), 1e-10)


@pytest.mark.parametrize("name", LARGE)
def test_a_step_of_the_large_models(name):
    """By SGD: Adam divides a bias's gradient, which before batch norm is nothing but rounding, by its own size."""
    make, shape = LARGE[name]
    module, twin = assert_same_pass(make(), torch.randn(shape, dtype=torch.float64), 1e-8)
    options = {"lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4}
    torch.optim.SGD(module.parameters(), **options).step()
    TwinOptimizer(torch.optim.SGD(twin.parameters(), **options)).step()
    torch.testing.assert_close(dict(twin.named_parameters()), dict(module.named_parameters()), rtol=1e-8, atol=1e-8)


class Functional(nn.Module):
    """What a user's own forward may call; one layer is called twice, one node is used three times."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.norm = nn.BatchNorm2d(2)
        self.head = nn.Linear(48, 3)

    def forward(self, x):
        a = F.relu(self.norm(self.conv(x)))
        b = torch.tanh(self.norm(self.conv(a))) + a
        c = torch.cat((a.sigmoid(), b), dim=1)
        c = F.pad(c, (1, 0, 0, 2), mode="replicate")[:, :, 1:5, ...]
        return self.head(c.reshape(c.size(0), -1)[..., 2:50].view(x.shape[0], 48))


def test_functions_and_layers_used_twice():
    assert_same_pass(Functional(), torch.randn(3, 2, 4, 4, dtype=torch.float64), 1e-10)


def test_two_modules_that_share_a_parameter():
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    net[2].weight = net[0].weight
    assert_same_pass(net, torch.randn(3, 4, dtype=torch.float64), 1e-10)


def test_any_size_after_tracing():
    module, twin = pair(UNet(1, 2, 2, depth=2, batchnorm=False))
    for shape in ((1, 1, 8, 8), (2, 1, 9, 6), (1, 1, 3, 5)):
        inputs = torch.rand(shape, dtype=torch.float64)
        torch.testing.assert_close(twin(inputs), module(inputs), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["fc_relu", "fc_gelu", "lenet5_max", "rnn", "unet", "resnet50_basic"])
def test_float32_stays_float32(name):
    make, shape = MODELS[name]
    twin = TwinModule(make())
    outputs = twin(torch.randn(shape))
    outputs.sum().backward()
    assert outputs.dtype == torch.float32
    assert {p.grad.dtype for p in twin.parameters()} == {torch.float32}
    assert all(step.layer.grads[name].dtype == np.float32 for step in twin.net.steps for name in step.layer.grads)


def test_the_twin_is_the_module_to_the_eye():
    module = LeNet5(1, 28, 10, [2, 3, 8], batchnorm=True)
    twin = TwinModule(module)
    assert [*twin.state_dict()] == [*module.state_dict()]
    assert [name for name, _ in twin.named_modules()] == [name for name, _ in module.named_modules()]
    assert [*map(id, twin.parameters())] == [*map(id, module.parameters())]


def test_memory_is_shared():
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    net = Net(module)
    net.steps[0].layer.params["weight"][:] = 5
    assert (module.state_dict()["0.weight"] == 5).all()
    module.load_state_dict({name: torch.full_like(tensor, 2) for name, tensor in module.state_dict().items()})
    assert (net.steps[0].layer.params["bias"] == 2).all()
    net.forward(np.ones((4, 3), np.float32))
    assert module[1].num_batches_tracked == 3
    assert (module[1].running_mean != 2).all()


def test_modules_forward_is_never_called(monkeypatch):
    twin = TwinModule(LeNet5(1, 28, 10, [2, 3, 8], batchnorm=True))

    def forbidden(*args):
        raise AssertionError("torch's forward was called")

    for cls in {type(module) for module in (twin.module, *twin.module.modules())}:
        monkeypatch.setattr(cls, "forward", forbidden)
    twin(torch.rand(2, 1, 28, 28)).sum().backward()
    assert all(p.grad is not None for p in twin.parameters())


def test_frozen_parts_neither_learn_nor_move():
    module, twin = pair(ResNet50(1, 4, block="basic", layers=[1, 1, 1], freeze=True))
    twin.eval()
    twin.train()
    before = copy.deepcopy(twin.state_dict())
    inputs = torch.randn(3, 1, 16, 16, dtype=torch.float64)
    outputs = twin(inputs)
    torch.testing.assert_close(outputs, module(inputs), rtol=1e-10, atol=1e-10)
    outputs.sum().backward()
    assert {name for name, p in twin.named_parameters() if p.grad is not None} == {"fc.weight", "fc.bias"}
    assert all(torch.equal(before[name], tensor) for name, tensor in twin.state_dict().items())
    assert not any(step.learns for step in twin.net.steps[:-1])


def test_pictures_of_activations_are_the_twins():
    module, twin = pair(LeNet5(1, 28, 10, [2, 3, 8], batchnorm=True))
    inputs = torch.rand(4, 1, 28, 28, dtype=torch.float64)
    expected, found = activation_histograms(module, inputs), activation_histograms(twin, inputs)
    assert found["names"].tolist() == expected["names"].tolist()
    np.testing.assert_allclose(found["edges"], expected["edges"], rtol=1e-6)
    assert found["counts"].sum() == expected["counts"].sum()


def test_inputs_are_left_alone():
    inputs = torch.rand(3, 2, 4, 4)
    before = inputs.clone()
    TwinModule(nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(32, 2)))(inputs - 0.5).sum().backward()
    twin = TwinModule(Functional())
    twin(inputs).sum().backward()
    assert torch.equal(inputs, before)


def test_backward_goes_with_the_last_forward():
    twin, inputs = TwinModule(nn.Sequential(nn.Linear(2, 1))), torch.rand(3, 2)
    outputs = twin(inputs)
    with torch.no_grad():
        twin(torch.rand(4, 2))  # keeps nothing, so it does not come between
    outputs.sum().backward()
    torch.testing.assert_close(twin.get_parameter("0.weight").grad, inputs.sum(0, keepdim=True))
    outputs = twin(inputs)
    twin(torch.rand(3, 2))
    with pytest.raises(RuntimeError, match="the last forward alone"):
        outputs.sum().backward()


def test_dropout_draws_from_torchs_generator_in_training_alone():
    module, twin = pair(nn.Sequential(nn.Linear(4, 1000), nn.Dropout(0.25)))
    without = TwinModule(nn.Sequential(nn.Linear(4, 2)))
    inputs = torch.randn(3, 4, dtype=torch.float64)
    state = torch.get_rng_state()
    first, second = twin(inputs), twin(inputs)
    torch.set_rng_state(state)
    again = twin(inputs)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert 0.2 < (first == 0).double().mean() < 0.3
    kept = again != 0
    torch.testing.assert_close(again[kept], module[0](inputs)[kept] / 0.75, rtol=1e-10, atol=1e-10)
    again.sum().backward()
    torch.testing.assert_close(twin.get_parameter("0.bias").grad, kept.double().sum(0) / 0.75)
    state = torch.get_rng_state()
    with evaluating(module), evaluating(twin):
        torch.testing.assert_close(twin(inputs), module(inputs), rtol=1e-10, atol=1e-10)
    without(inputs.float())
    assert torch.equal(state, torch.get_rng_state())


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class TwoInputs(nn.Module):
    def forward(self, x, y):
        return x + y


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.scale * x


class Calls(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class ChangedInPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = torch.tanh(x)
        return self.relu(y) + y


REFUSED = {
    "RNN has GRU at rnn,": lambda: RNN(1, 1, cell="gru"),
    "RNN has LSTM at rnn,": lambda: RNN(1, 1, cell="lstm"),
    "RNN has RNN with num_layers=2 at rnn,": lambda: RNN(1, 1, num_layers=2),
    "Sequential has LayerNorm at 1,": lambda: nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)),
    "has Conv2d with groups=2 at 0,": lambda: nn.Sequential(nn.Conv2d(2, 2, 3, groups=2)),
    "has Conv2d with dilation=(2, 2) at 0,": lambda: nn.Sequential(nn.Conv2d(2, 2, 3, dilation=2)),
    "has Conv2d with stride=(1, 2) at 0,": lambda: nn.Sequential(nn.Conv2d(2, 2, 3, stride=(1, 2))),
    "has Conv2d with padding=same at 0,": lambda: nn.Sequential(nn.Conv2d(2, 2, 3, padding="same")),
    "has Conv2d with padding_mode=reflect": lambda: nn.Sequential(nn.Conv2d(2, 2, 3, padding_mode="reflect")),
    "has ConvTranspose2d with output_padding": lambda: nn.Sequential(nn.ConvTranspose2d(2, 2, 3, 2, output_padding=1)),
    "has MaxPool2d with ceil_mode=True": lambda: nn.Sequential(nn.MaxPool2d(2, ceil_mode=True)),
    "has AvgPool2d with padding=1": lambda: nn.Sequential(nn.AvgPool2d(3, padding=1)),
    "has BatchNorm2d with momentum=None": lambda: nn.Sequential(nn.BatchNorm2d(2, momentum=None)),
    "has BatchNorm1d with affine=False": lambda: nn.Sequential(nn.BatchNorm1d(2, affine=False)),
    "has GELU with approximate=tanh": lambda: nn.Sequential(nn.GELU("tanh")),
    "has Upsample with mode=nearest": lambda: nn.Sequential(nn.Upsample(scale_factor=2)),
    "Calls has exp(),": lambda: Calls(torch.exp),
    "Calls has dropout(),": lambda: Calls(F.dropout),
    "Calls has softmax(),": lambda: Calls(lambda x: x.softmax(1)),
    "Calls has a sum with a number,": lambda: Calls(lambda x: x + 1),
    "Calls has pad with mode=constant,": lambda: Calls(lambda x: F.pad(x, (1, 1, 1, 1))),
    "has relu in place on what is read again": ChangedInPlace,
    "Scaled has scale outside of a layer,": Scaled,
    "torch.fx cannot trace Branching: symbolically traced variables": Branching,
    "TwoInputs does not take one tensor": TwoInputs,
}


@pytest.mark.parametrize("words", REFUSED)
def test_refused_in_one_line(words):
    with pytest.raises(UserError) as refusal:
        Net(REFUSED[words]())
    message = str(refusal.value)
    assert words in message
    assert message.startswith("backend=numpy: ")
    assert message.endswith("use backend=torch")
    assert "\n" not in message
