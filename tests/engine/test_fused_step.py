"""A step without torch's surroundings is torch's step, to the last bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import FC, bits, run, same_bits, weights
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from dlhw import trainer
from dlhw.fused_step import FusedStep, PlainStep, step_of

STEPS = 12
CASES = [
    (Adam, {}),
    (Adam, {"weight_decay": 0.1, "betas": (0.8, 0.99), "eps": 1e-6}),
    (Adam, {"amsgrad": True}),
    (Adam, {"maximize": True}),
    (AdamW, {"weight_decay": 0.2}),
    (AdamW, {"amsgrad": True, "maximize": True}),
    (SGD, {}),
    (SGD, {"weight_decay": 0.1, "maximize": True}),
    (SGD, {"momentum": 0.9, "dampening": 0.3}),
    (SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
]


class Parts(nn.Module):
    """Two layers, the second of which takes part when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.always, self.sometimes = nn.Linear(6, 3), nn.Linear(3, 3)

    def forward(self, inputs: Tensor, both: bool = True) -> Tensor:
        return self.sometimes(self.always(inputs).tanh()) if both else self.always(inputs)


def walk(
    kind: type[Optimizer],
    options: dict[str, Any],
    step_of: Callable[[Optimizer], Callable[[], None]],
    both: Callable[[int], bool] = lambda index: True,
    change: Callable[[int, Optimizer], None] = lambda index, optimizer: None,
) -> tuple[list[bytes], dict[str, Any]]:
    """All weights after each of a few steps, and the optimizer's state after them."""
    model = Parts()
    optimizer = kind(model.parameters(), lr=0.05, fused=True, **options)
    step = step_of(optimizer)
    inputs = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
    path = []
    for index in range(STEPS):
        nn.functional.cross_entropy(model(inputs, both(index)), torch.arange(8) % 3).backward()
        change(index, optimizer)
        step()
        assert all(param.grad is None for param in model.parameters())
        path.append(b"".join(bits(param.detach()) for param in model.parameters()))
    return path, optimizer.state_dict()


def torchs(optimizer: Optimizer) -> Callable[[], None]:
    def step() -> None:
        optimizer.step()
        optimizer.zero_grad()

    return step


def ours(optimizer: Optimizer) -> Callable[[], None]:
    step = step_of(optimizer)
    assert type(step) is FusedStep
    return step


def same(*args: Any, **options: Any) -> None:
    (path, state), (expected, expected_state) = walk(*args, ours, **options), walk(*args, torchs, **options)
    assert path == expected
    assert len(set(path)) == STEPS
    torch.testing.assert_close(state, expected_state, rtol=0, atol=0)


@pytest.mark.parametrize(("kind", "options"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_every_step_has_torchs_bits(kind, options):
    same(kind, options)


@pytest.mark.parametrize("kind", [Adam, AdamW, SGD])
def test_what_a_schedule_changes_is_heeded(kind):
    def change(index: int, optimizer: Optimizer) -> None:
        optimizer.param_groups[0]["lr"] = 0.05 / (index + 1)
        optimizer.param_groups[0]["weight_decay"] = 0.01 * index
        if kind is SGD:
            optimizer.param_groups[0]["momentum"] = 0.0 if index < 4 else 0.5 + 0.02 * index
        else:
            optimizer.param_groups[0]["betas"] = (0.8 + 0.01 * index, 0.99)

    same(kind, {}, change=change)


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_a_parameter_may_get_its_first_gradient_late_and_have_none_again(kind):
    same(kind, {}, both=lambda index: index in (3, 4, 8))


@pytest.mark.parametrize("kind", [Adam, SGD])
def test_state_that_is_loaded_is_gone_on_with(kind):
    def change(index: int, optimizer: Optimizer) -> None:
        if index == 5:
            before = {key: value.clone() for key, value in optimizer.state_dict()["state"][0].items()}
            optimizer.load_state_dict(optimizer.state_dict())
            optimizer.state[optimizer.param_groups[0]["params"][0]].update({k: v / 2 for k, v in before.items()})

    same(kind, {"momentum": 0.9} if kind is SGD else {}, change=change)


class Own(Adam):
    """An optimizer that might do anything."""


def test_only_what_it_knows_is_replaced():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2).double()
    groups = [{"params": [first.weight]}, {"params": [first.bias], "lr": 0.1}]
    params = list(first.parameters())
    assert type(step_of(Adam(params, fused=True))) is FusedStep
    for optimizer in (
        Own(params, fused=True),
        Adam(params),
        Adam(params, foreach=True),
        Adam(groups, fused=True),
        Adam([*params, *second.parameters()], fused=True),
        torch.optim.RMSprop(params),
        torch.optim.Adagrad(params, fused=True),
    ):
        assert type(step_of(optimizer)) is PlainStep


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
def test_runs_take_it_where_they_can_and_end_with_the_same_weights(optimizer, tmp_path, monkeypatch):
    taken = []

    def watched(of: Optimizer) -> PlainStep:
        taken.append(step_of(of))
        return taken[-1]

    typed = (*FC, f"optimizer={optimizer}", "scheduler=onecycle", "scheduler.max_lr=0.01", "epochs=2")
    monkeypatch.setattr(trainer, "step_of", watched)
    run(tmp_path / "ours", *typed)
    assert [type(step) for step in taken] == [PlainStep if optimizer == "rmsprop" else FusedStep]
    monkeypatch.setattr(trainer, "step_of", PlainStep)
    run(tmp_path / "torchs", *typed)
    last = Path("checkpoints/last.pt")
    assert same_bits(weights(tmp_path / "ours" / last), weights(tmp_path / "torchs" / last))
