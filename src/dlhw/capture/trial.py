"""Steps that are tried out and undone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from dlhw.trainer import Trainer


def full_batch(trainer: Trainer) -> tuple[Tensor, Tensor] | None:
    """The first batch of the training split, in order; None where there is none of full size."""
    inputs, targets = next(iter(trainer.train.batches(trainer.batch_size)))
    return (inputs, targets) if len(targets) == trainer.batch_size else None


@contextmanager
def undone(trainer: Trainer) -> Iterator[None]:
    """Whatever is trained within leaves no trace: weights, buffers, optimizer state, gradients and random numbers.

    All are put back in place, so that what was captured on their memory goes on with them. Tensors that the optimizer
    makes at its first step stay, as zeros: that is how torch's optimizers begin.
    """
    model, optimizer = trainer.model, trainer.optimizer
    kept = [(tensor, tensor.detach().clone()) for tensor in (*model.parameters(), *model.buffers())]
    states = {p: {name: copy(value) for name, value in state.items()} for p, state in optimizer.state.items()}
    model.train()
    devices = [trainer.device] if trainer.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield
    optimizer.zero_grad()
    with torch.no_grad():
        for tensor, before in kept:
            tensor.copy_(before)
        for p, state in optimizer.state.items():
            for name, value in state.items():
                put_back(state, name, value, states.get(p, {}).get(name))


def copy(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def put_back(state: dict[str, Any], name: str, value: Any, before: Any) -> None:
    if not isinstance(value, Tensor):
        state[name] = before
    elif before is None:
        value.zero_()
    else:
        value.copy_(before)
