"""A step of torch's fused optimizers without what surrounds its kernel.

`Optimizer.step` records a profile, sorts its tensors by device and dtype, and asks what is being compiled or captured:
0.1 ms for the six tensors of an MLP, a twelfth of that net's step on a CPU, where the kernel takes 0.01.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

Update = Callable[[dict[str, Any], list[Tensor], list[Tensor], list[dict[str, Tensor]]], None]


class PlainStep:
    """An optimizer's `step` and `zero_grad`."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer

    def __call__(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad()


class FusedStep(PlainStep):
    """The same to the last bit; calls no hooks of the optimizer."""

    def __init__(self, optimizer: Optimizer) -> None:
        super().__init__(optimizer)
        self.kernel = KERNELS[type(optimizer)]
        self.begun = False  # the first step is torch's own, which tells the schedulers

    def __call__(self) -> None:
        (group,) = self.optimizer.param_groups
        params = [param for param in group["params"] if param.grad is not None]
        if not (self.begun and params and self.stepped(group, params)):
            self.optimizer.step()
            self.begun = True
        for param in params:
            param.grad = None

    @torch.no_grad()
    def stepped(self, group: dict[str, Any], params: list[Tensor]) -> bool:
        """False, and nothing done, where state is missing: torch's own step makes it."""
        grads: list[Any] = [param.grad for param in params]
        states = [self.optimizer.state.get(param, {}) for param in params]
        try:
            self.kernel(group, params, grads, states)
        except KeyError:
            return False
        return True


def step_of(optimizer: Optimizer) -> PlainStep:
    """A FusedStep where the optimizer is one of torch's own, fused, with one group of tensors of one kind."""
    if type(optimizer) not in KERNELS or len(optimizer.param_groups) > 1:
        return PlainStep(optimizer)
    (group,) = optimizer.param_groups
    alike = len({(param.device, param.dtype) for param in group["params"]}) == 1
    return FusedStep(optimizer) if group["fused"] and alike else PlainStep(optimizer)


def adam(group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict[str, Tensor]]) -> None:
    """What torch.optim.adam._fused_adam does for tensors of one device and dtype."""
    steps = [state["step"] for state in states]
    torch._foreach_add_(steps, 1)
    kernel = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_
    beta1, beta2 = group["betas"]
    kernel(
        params,
        grads,
        [state["exp_avg"] for state in states],
        [state["exp_avg_sq"] for state in states],
        [state["max_exp_avg_sq"] for state in states] if group["amsgrad"] else [],
        steps,
        lr=group["lr"],
        beta1=beta1,
        beta2=beta2,
        weight_decay=group["weight_decay"],
        eps=group["eps"],
        amsgrad=group["amsgrad"],
        maximize=group["maximize"],
    )


def sgd(group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict[str, Tensor]]) -> None:
    """What torch.optim.sgd._fused_sgd does from the second step on."""
    torch._fused_sgd_(
        params,
        grads,
        [state["momentum_buffer"] for state in states] if group["momentum"] else [],
        weight_decay=group["weight_decay"],
        momentum=group["momentum"],
        lr=group["lr"],
        dampening=group["dampening"],
        nesterov=group["nesterov"],
        maximize=group["maximize"],
        is_first_step=False,
    )


KERNELS: dict[type[Optimizer], Update] = {Adam: adam, AdamW: adam, SGD: sgd}
