"""Training on the twins against torch's, in float64: each step's loss, the optimizers' state, and what is refused."""

import copy
import io
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from dlhw.backend.adapters import TwinLoss, numpy_backend
from dlhw.backend.optimizer import TwinOptimizer
from dlhw.config.compose import composed
from dlhw.config.shipped import hydra_session
from dlhw.errors import UserError
from dlhw.loss.dice import Dice
from dlhw.loss.mse import MSE
from dlhw.loss.rounded_mse import RoundedMSE
from dlhw.model.convnet import ConvNet
from dlhw.model.fc import FC
from dlhw.prepare import prepare
from dlhw.trainer import Trainer


@pytest.fixture(autouse=True)
def one_thread_and_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


# The presets, on the digits where they ask for a download; 200 steps
SMALL = ("dataset=digits", "dataset.val_size=0", "dataset.train_size=100", "dataset.image_size=28", "batch_size=10")
PRESETS = {
    "fc": ("experiment=mnist/fc_batchnorm", *SMALL, "epochs=20"),
    "lenet5": ("experiment=mnist/lenet_relu", *SMALL, "model.init=default", "epochs=20"),
    "lenet5_tanh": (*SMALL, "optimizer=sgd", "optimizer.momentum=0.9", "clip_grad_norm=1", "epochs=20"),
    "simple_convnet": ("experiment=mnist/simple_convnet", *SMALL, "dataset.test_size=50", "epochs=20"),
    "rnn": ("experiment=sequence/sine", "dataset.train_size=200", "batch_size=20", "epochs=20"),
    "rounded_mse": (
        "model=fc",
        "model.hidden=[32]",
        "loss=rounded_mse",
        "model.out_features=1",
        *SMALL,
        "accumulate_steps=2",
        "epochs=40",
    ),
}


def trainer(*overrides: str) -> Trainer:
    with hydra_session() as session:
        fixed = ("precision=fp64", "device=cpu", "threads=1", "plots=none", "channels_last=false")
        config = composed([*session, *overrides, *fixed])
    return prepare(config).trainer


def on_numpy(trainer: Trainer) -> Trainer:
    trainer.model, trainer.loss_fn, trainer.optimizer = numpy_backend(trainer.model, trainer.loss_fn, trainer.optimizer)
    return trainer


def step_losses(trainer: Trainer, epochs: int) -> list[float]:
    return [loss for _ in trainer.fit(epochs) for loss in trainer.steps.loss]


@pytest.mark.parametrize("name", PRESETS)
def test_two_hundred_steps_of_the_presets(name):
    overrides = PRESETS[name]
    epochs = int(overrides[-1].partition("=")[2])
    expected, found = (step_losses(t, epochs) for t in (trainer(*overrides), on_numpy(trainer(*overrides))))
    assert len(expected) == 200
    assert expected[-1] < 0.9 * expected[0]
    assert found == pytest.approx(expected, rel=1e-9)


def test_a_trainers_checkpoint_goes_on_in_the_other_backend():
    """Two epochs here and two there are four, of rows too; the state goes through a file."""
    overrides = ("model=lenet5", "model.batchnorm=true", *SMALL, "dataset.val_size=50", "epochs=4")
    whole = rows(trainer(*overrides), 4)
    for first, second in ((trainer(*overrides), on_numpy(trainer(*overrides))),
                          (on_numpy(trainer(*overrides)), trainer(*overrides))):  # fmt: skip
        begun = rows(first, 2)
        second.load_state_dict(through_a_file(first.state_dict()))
        for row, expected in zip(begun + rows(second, 4), whole, strict=True):
            assert row == pytest.approx(expected, rel=1e-9)


def rows(trainer: Trainer, epochs: int) -> list[dict[str, float]]:
    timed = ("seconds", "samples_per_second")
    return [{key: value for key, value in row.items() if key not in timed} for row in trainer.fit(epochs)]


def through_a_file(state: dict) -> dict:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_resumed_with_dropout_bit_for_bit():
    overrides = ("model=fc", "model.dropout=0.3", *SMALL, "epochs=3")
    whole = rows(on_numpy(trainer(*overrides)), 3)
    first, second = (on_numpy(trainer(*overrides)) for _ in range(2))
    begun = rows(first, 1)
    state = through_a_file(first.state_dict())
    torch.manual_seed(99)
    second.load_state_dict(state)
    assert begun + rows(second, 3) == whole


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "sgd_fused": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, fused=True),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "dampened": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
    "adam_decay": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1, fused=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, foreach=True),
    "rmsprop_all": lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9, momentum=0.9, centered=True, weight_decay=0.01),
}


class Training:
    """A small net on fixed batches, a schedule on the rate, and two parameters that do not learn.

    They are the biases before batch norms: their gradients are rounding alone, which Adam makes large.
    """

    def __init__(self, make, numpy: bool) -> None:
        torch.manual_seed(0)
        self.model: nn.Module = FC(6, 3, [5, 4], "tanh", batchnorm=True).double()
        for name in ("1.bias", "4.bias"):
            self.model.get_parameter(name).requires_grad_(False)
        self.loss_fn: nn.Module = nn.CrossEntropyLoss()
        self.optimizer = make(self.model.parameters())
        if numpy:
            self.model, self.loss_fn, self.optimizer = numpy_backend(self.model, self.loss_fn, self.optimizer)
        self.schedule = lr_scheduler.ExponentialLR(self.optimizer, 0.95)
        self.batches = batches()

    def go(self, steps: int) -> list[float]:
        losses = []
        for _ in range(steps):
            inputs, targets = next(self.batches)
            loss = self.loss_fn(self.model(inputs), targets)
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.schedule.step()
            losses.append(loss.item())
        return losses

    def go_on_from(self, other: "Training") -> "Training":
        state = through_a_file({"model": other.model.state_dict(), "optimizer": other.optimizer.state_dict()})
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(other.schedule.state_dict())
        self.batches = other.batches
        return self


def batches() -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    while True:
        yield (
            torch.randn(8, 6, generator=generator, dtype=torch.float64),
            torch.randint(3, (8,), generator=generator),
        )


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("numpy_first", [True, False], ids=["numpy_then_torch", "torch_then_numpy"])
def test_optimizer_states_go_both_ways(name, numpy_first):
    make = OPTIMIZERS[name]
    whole = Training(make, numpy=False)
    losses = whole.go(20)
    first = Training(make, numpy=numpy_first)
    begun = first.go(10)
    second = Training(make, numpy=not numpy_first).go_on_from(first)
    assert begun + second.go(10) == pytest.approx(losses, rel=1e-10)
    for p, q in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        torch.testing.assert_close(q, p, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_dicts_are_alike(name):
    expected, found = Training(OPTIMIZERS[name], numpy=False), Training(OPTIMIZERS[name], numpy=True)
    expected.go(3)
    found.go(3)
    torch.testing.assert_close(found.optimizer.state_dict(), expected.optimizer.state_dict(), rtol=1e-10, atol=1e-10)
    for state in found.optimizer.state_dict()["state"].values():
        assert state.get("step", torch.tensor(3.0)) == 3


def test_the_update_is_seen_in_the_torch_module():
    model = FC(2, 1, [])
    before = copy.deepcopy(model.state_dict())
    twin, loss_fn, optimizer = numpy_backend(model, MSE(), torch.optim.SGD(model.parameters(), lr=0.1))
    loss_fn(twin(torch.ones(3, 2)), torch.ones(3, 1)).backward()
    optimizer.step()
    for name, tensor in model.state_dict().items():
        assert not torch.equal(before[name], tensor)
        assert tensor.data_ptr() == twin.state_dict()[name].data_ptr()


def test_gradients_add_up_until_they_are_cleared():
    model = FC(2, 1, [3]).double()
    twin, loss_fn, optimizer = numpy_backend(model, MSE(), torch.optim.SGD(model.parameters(), lr=0.1))
    one, other = torch.rand(3, 2, dtype=torch.float64), torch.rand(5, 2, dtype=torch.float64)
    for inputs in (one, other):
        (loss_fn(twin(inputs), torch.ones(len(inputs), 1).double()) * (len(inputs) / 8)).backward()
    found = [p.grad.clone() for p in twin.parameters()]
    optimizer.zero_grad()
    loss = MSE()(model(torch.cat([one, other])), torch.ones(8, 1, dtype=torch.float64))
    expected = torch.autograd.grad(loss, [*model.parameters()])
    torch.testing.assert_close(found, [*expected], rtol=1e-10, atol=1e-10)


def classes(*shape: int) -> Tensor:
    return torch.randint(4, shape)


LOSSES = {  # outputs' shape, and targets
    "cross_entropy": (nn.CrossEntropyLoss(), (5, 4), lambda: classes(5)),
    "smoothed": (nn.CrossEntropyLoss(label_smoothing=0.1), (5, 4), lambda: classes(5)),
    "weighted": (nn.CrossEntropyLoss(weight=torch.rand(4).double()), (5, 4), lambda: classes(5)),
    "of_pixels": (nn.CrossEntropyLoss(label_smoothing=0.1), (2, 4, 3, 5), lambda: classes(2, 3, 5)),
    "mse_of_classes": (MSE(), (5, 4), lambda: classes(5)),
    "mse_of_values": (MSE(), (5, 2), lambda: torch.rand(5, 2).double()),
    "mse_of_images": (MSE(), (2, 1, 4, 4), lambda: torch.rand(2, 1, 4, 4).double()),
    "summed": (MSE("sum"), (5, 4), lambda: classes(5)),
    "multi_margin": (nn.MultiMarginLoss(), (5, 4), lambda: classes(5)),
    "multi_margin_squared": (nn.MultiMarginLoss(p=2, margin=0.5), (5, 4), lambda: classes(5)),
    "rounded_mse": (RoundedMSE(), (5, 1), lambda: classes(5)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    loss_fn, shape, targets = LOSSES[name][0], LOSSES[name][1], LOSSES[name][2]()
    outputs = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    found, expected = (2 * fn(outputs, targets) for fn in (TwinLoss(loss_fn), loss_fn))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    (gradient,), (same,) = torch.autograd.grad(expected, outputs), torch.autograd.grad(found, outputs)
    torch.testing.assert_close(same, gradient, rtol=1e-10, atol=1e-14)


def test_losses_in_float32():
    outputs = torch.randn(5, 4, requires_grad=True)
    loss = TwinLoss(nn.CrossEntropyLoss())(outputs, classes(5))
    loss.backward()
    assert loss.dtype == outputs.grad.dtype == torch.float32


def one(kind, **options):
    return lambda model: (model, nn.CrossEntropyLoss(), kind(model.parameters(), lr=0.1, **options))


def loss(loss_fn):
    return lambda model: (model, loss_fn, torch.optim.SGD(model.parameters(), lr=0.1))


REFUSED = {
    "Adam with amsgrad=true has no NumPy twin": one(torch.optim.Adam, amsgrad=True),
    "SGD with maximize=true has no NumPy twin": one(torch.optim.SGD, maximize=True),
    "Adam with decoupled_weight_decay=true has": one(torch.optim.Adam, decoupled_weight_decay=True),
    "Adagrad has no NumPy twin": one(torch.optim.Adagrad),
    "Dice has no NumPy twin": loss(Dice()),
    "NLLLoss has no NumPy twin": loss(nn.NLLLoss()),
    "CrossEntropyLoss with reduction=sum has": loss(nn.CrossEntropyLoss(reduction="sum")),
    "CrossEntropyLoss with ignore_index=0 has": loss(nn.CrossEntropyLoss(ignore_index=0)),
    "MultiMarginLoss with weight=tensor([1., 1.]) has": loss(nn.MultiMarginLoss(weight=torch.ones(2))),
}


@pytest.mark.parametrize("words", REFUSED)
def test_refused_in_one_line(words):
    with pytest.raises(UserError) as refusal:
        numpy_backend(*REFUSED[words](FC(2, 2, [])))
    message = str(refusal.value)
    assert words in message
    assert message.startswith("backend=numpy: ")
    assert message.endswith("use backend=torch")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (FC(2, 2, []).bfloat16(), "1.weight is torch.bfloat16; set precision=fp32 or fp64"),
        (FC(2, 2, []).to("meta"), "1.weight is on meta, and NumPy has the CPU alone; set device=cpu"),
    ],
)
def test_other_memory_is_refused(model, words):
    with pytest.raises(UserError, match=words):
        numpy_backend(model, nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=0.1))


def test_autocast_is_refused():
    model = FC(2, 2, [])
    twin = numpy_backend(model, nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=0.1))[0]
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(UserError, match="no bf16; set precision=fp32 or fp64"):
        twin(torch.rand(3, 2))


def test_schedulers_change_the_twins_rate():
    model = FC(2, 2, [])
    torch_optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    optimizer = TwinOptimizer(torch_optimizer)
    assert optimizer.param_groups[0] is torch_optimizer.param_groups[0]
    schedule = lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    seen = []
    for _ in range(9):
        optimizer.step()
        schedule.step()
        seen.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["betas"][0]))
    assert len(set(seen)) == 9


def test_weights_that_a_convolution_keeps_channels_last():
    model = ConvNet(3, 8, 4, [4], [5]).double().to(memory_format=torch.channels_last)
    inputs = torch.randn(3, 3, 8, 8, dtype=torch.float64).to(memory_format=torch.channels_last)
    expected = copy.deepcopy(model)
    twin, loss_fn, optimizer = numpy_backend(model, nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters()))
    other = torch.optim.Adam(expected.parameters())
    for net, fn, update in ((twin, loss_fn, optimizer), (expected, nn.CrossEntropyLoss(), other)):
        for _ in range(3):
            fn(net(inputs), torch.tensor([0, 1, 3])).backward()
            update.step()
            update.zero_grad()
    for p, q in zip(expected.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(q, p, rtol=1e-9, atol=1e-9)
