"""A CUDA device where there is none: tensors that know device, dtype and shape, and hold nothing.

torch's FakeTensorMode works out what each operation would give. An operation on tensors of two devices raises as it
does on a real one, and so does whatever needs a value of the device, for which the host would have to wait. What it
cannot show is left out: numbers, speed, generators of the device (denoise), cuDNN (model=rnn), and the backward pass,
in whose place every gradient is made up.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch._subclasses.fake_impls import register_op_impl
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from dlhw.config.build import build
from dlhw.metrics import Metrics
from dlhw.prepare import Experiment, build_schedule
from dlhw.trainer import Trainer

CUDA = torch.device("cuda", 0)
TRAINED: list[Tensor] = []  # parameters of the trainer that is on the device
FUSED = torch.ops.aten._fused_adam_, torch.ops.aten._fused_adamw_, torch.ops.aten._fused_sgd_


@register_op_impl([getattr(op, name) for op in FUSED for name in ("default", "tensor_lr")])
def fused_step(mode: FakeTensorMode, function: object, *args: object, **options: object) -> None:
    """They change tensors in place; torch has no fake of all of them. Theirs must lie on the device."""
    for tensors in args[:4]:
        assert all(tensor.device == CUDA for tensor in tensors), function  # type: ignore[attr-defined]


class Transfers(TorchDispatchMode):
    """Notes each copy to the device from memory that is not pinned: that waits for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.pinned: list[Tensor] = []  # kept, so that no other tensor is taken for one of them
        self.waiting: list[str] = []

    def pin(self, tensor: Tensor) -> Tensor:
        self.pinned.append(copied := tensor.clone())
        return copied

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if function in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
            source = args[-1] if function is torch.ops.aten.copy_.default else args[0]
            to_device = isinstance(result, Tensor) and result.device == CUDA and source.device.type == "cpu"
            if to_device and not any(source is tensor for tensor in self.pinned):
                self.waiting.append(f"{function} of {tuple(source.shape)}")
        return result


def make_up_gradients(loss: Tensor) -> None:
    for param in TRAINED:
        param.grad = torch.empty_like(param)


@contextmanager
def fake_cuda() -> Iterator[Transfers]:
    """Within it CUDA tensors can be made, and nothing can be read from them. Gives what is copied to the device."""
    transfers = Transfers()
    patches = [
        mock.patch.object(Tensor, "backward", make_up_gradients),
        mock.patch.object(torch.autograd, "grad", lambda outputs, inputs: [torch.empty_like(x) for x in inputs]),
        mock.patch.object(Tensor, "pin_memory", lambda tensor: transfers.pin(tensor)),
    ]
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            for patch in patches:
                patch.start()
            yield transfers
    finally:
        mock.patch.stopall()
        TRAINED.clear()
        torch.__future__.set_overwrite_module_params_on_conversion(False)


def on_the_device(experiment: Experiment) -> Trainer:
    """The trainer of an experiment that was prepared on the CPU, as it would be on the device. Within fake_cuda()."""
    config, trainer = experiment.config, experiment.trainer
    model, loss_fn = trainer.model.to(CUDA), trainer.loss_fn.to(CUDA)
    params = [p for p in model.parameters() if p.requires_grad]
    optimizer = build(config.optimizer, "optimizer", params)
    TRAINED[:] = params
    return dataclasses.replace(
        trainer,
        model=model,
        loss_fn=loss_fn,
        optimizer=optimizer,
        schedule=build_schedule(config, optimizer, experiment.splits, experiment.task),
        train=moved(trainer.train, {}),
        val=moved(trainer.val, {}),
        device=CUDA,
        metrics=lambda: unfinished(experiment.task.metrics(CUDA)),
    )


def unfinished(metrics: Metrics) -> Metrics:
    """Without the figures that the host works out at the end, from numbers that are made up here."""
    metrics.figures = lambda state: {}  # type: ignore[method-assign]
    return metrics


def moved(part: Any, memo: dict[int, Any]) -> Any:
    """A split of ours, and all that it holds, with its tensors on the device."""
    if id(part) in memo:
        return memo[id(part)]
    if isinstance(part, Tensor):
        memo[id(part)] = part.to(CUDA)
    elif type(part) in (list, tuple):
        memo[id(part)] = type(part)(moved(item, memo) for item in part)
    elif type(part).__module__.startswith("dlhw."):
        memo[id(part)] = copied = copy.copy(part)
        for name, value in vars(part).items():
            object.__setattr__(copied, name, moved(value, memo))
    else:
        memo[id(part)] = part
    return memo[id(part)]


def fetched(calls: list[int]) -> Callable[..., tuple[list[float], list[float]]]:
    """In place of the one transfer to the host: counts it, and makes its numbers up."""

    def fetch(losses: Sequence[Tensor], metrics: Any, ranks: object = None) -> tuple[list[float], list[float]]:
        state = metrics.state()
        assert all(isinstance(tensor, FakeTensor) and tensor.device == CUDA for tensor in (*losses, state))
        calls.append(len(losses))
        return [0.5] * len(losses), [1.0] * state.numel()

    return fetch
