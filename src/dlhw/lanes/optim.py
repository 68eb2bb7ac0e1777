"""torch's optimizers for many lanes at once, by its formulas: tensors are (L, ...), numbers such as lr are (L,)."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from dlhw.dataset.transfer import send

Numbers = dict[str, Tensor]  # (L,), float64
NUMBERS = ("lr", "weight_decay", "momentum", "eps", "alpha", "betas")  # of a param_group; what lanes may differ in


class Rule(Protocol):
    """One optimizer's update. options: a param_group that holds what the lanes share, such as `nesterov`."""

    def __init__(self, options: Mapping[str, Any]) -> None: ...

    def factors(self, numbers: Numbers, step: Tensor) -> Numbers:
        """What `apply` multiplies by in the step of this number, from 1: (L,), worked out in float64."""
        ...

    def apply(self, param: Tensor, grad: Tensor, state: Mapping[str, Tensor], by: Numbers) -> None:
        """Change (L, ...) param and state in place, grad not. by: the factors, (L, 1, ...)."""
        ...


class SGDRule:
    def __init__(self, options: Mapping[str, Any]) -> None:
        self.nesterov = options["nesterov"]

    def factors(self, numbers: Numbers, step: Tensor) -> Numbers:
        return numbers

    def apply(self, param: Tensor, grad: Tensor, state: Mapping[str, Tensor], by: Numbers) -> None:
        grad = decayed(grad, param, by)
        if "momentum_buffer" in state:
            buffer = state["momentum_buffer"].mul_(by["momentum"]).add_(grad)
            grad = grad.addcmul(buffer, by["momentum"]) if self.nesterov else buffer
        param.addcmul_(grad, by["lr"], value=-1)


class AdamRule:
    """Adam, and AdamW where the weight decay is decoupled."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.decoupled = options["decoupled_weight_decay"]

    def factors(self, numbers: Numbers, step: Tensor) -> Numbers:
        """lr and eps are multiplied by the second bias correction here, rather than the second moments divided."""
        correction = (1 - numbers["beta2"] ** step).sqrt()
        return {
            **numbers,
            "forget1": 1 - numbers["beta1"],
            "forget2": 1 - numbers["beta2"],
            "rate": numbers["lr"] / (1 - numbers["beta1"] ** step) * correction,
            "eps": numbers["eps"] * correction,
        }

    def apply(self, param: Tensor, grad: Tensor, state: Mapping[str, Tensor], by: Numbers) -> None:
        if self.decoupled and "weight_decay" in by:
            param.mul_(1 - by["lr"] * by["weight_decay"])
        else:
            grad = decayed(grad, param, by)
        mean = state["exp_avg"].lerp_(grad, by["forget1"])
        square = state["exp_avg_sq"].lerp_(grad.square(), by["forget2"])
        if "max_exp_avg_sq" in state:
            square = torch.maximum(state["max_exp_avg_sq"], square, out=state["max_exp_avg_sq"])
        param.addcmul_(mean.div(square.sqrt().add_(by["eps"])), by["rate"], value=-1)


class RMSpropRule:
    def __init__(self, options: Mapping[str, Any]) -> None:
        pass

    def factors(self, numbers: Numbers, step: Tensor) -> Numbers:
        return {**numbers, "forget": 1 - numbers["alpha"]}

    def apply(self, param: Tensor, grad: Tensor, state: Mapping[str, Tensor], by: Numbers) -> None:
        grad = decayed(grad, param, by)
        square = state["square_avg"].lerp_(grad.square(), by["forget"])
        if "grad_avg" in state:  # centered
            mean = state["grad_avg"].lerp_(grad, by["forget"])
            square = square.addcmul(mean, mean, value=-1)
        change = grad.div(square.sqrt().add_(by["eps"]))
        if "momentum_buffer" in state:
            change = state["momentum_buffer"].mul_(by["momentum"]).add_(change)
        param.addcmul_(change, by["lr"], value=-1)


def decayed(grad: Tensor, param: Tensor, by: Numbers) -> Tensor:
    return grad.addcmul(param, by["weight_decay"]) if "weight_decay" in by else grad


RULES: dict[type[Optimizer], type[Rule]] = {SGD: SGDRule, Adam: AdamRule, AdamW: AdamRule, RMSprop: RMSpropRule}


class Hyperparameters:
    """The numbers in the lanes' param_groups on the device, where schedules, which know no device, change them."""

    def __init__(self, groups: Sequence[dict[str, Any]], device: torch.device) -> None:
        self.groups = groups
        self.seen = self.look()
        self.names = list(numbers_of(groups[0]))
        self.values = torch.tensor(self.rows(), dtype=torch.float64, device=device)

    def look(self) -> list[tuple[Any, ...]]:
        """What may change, of each lane; as fast as can be, since it is done in every step."""
        return [tuple(map(group.get, NUMBERS)) for group in self.groups]

    def rows(self) -> list[list[float]]:
        told = [numbers_of(group) for group in self.groups]
        return [[lane[name] for lane in told] for name in self.names]

    def refresh(self) -> None:
        """Send them to the device if some have changed; the host does not wait."""
        seen = self.look()
        if seen != self.seen:
            self.seen = seen
            self.values.copy_(send(torch.tensor(self.rows(), dtype=torch.float64), self.values.device))

    def numbers(self) -> Numbers:
        """weight_decay, which no schedule changes, only if a lane has any."""
        found = dict(zip(self.names, self.values, strict=True))
        if not any(group["weight_decay"] for group in self.groups):
            del found["weight_decay"]
        return found


def numbers_of(group: Mapping[str, Any]) -> dict[str, float]:
    found = {name: group[name] for name in NUMBERS if name in group and name != "betas"}
    return found | dict(zip(("beta1", "beta2"), group.get("betas", ()), strict=False))


def begin_state(optimizer: Optimizer) -> None:
    """Have an optimizer that took no step make its state tensors as it does in its first step, all of them zero.

    By a step of length 0, which changes no weight, and tells torch's schedulers that there was one.
    """
    if optimizer.state:
        return
    (group,) = optimizer.param_groups
    lr, group["lr"] = group["lr"], 0.0
    for param in group["params"]:
        param.grad = torch.zeros_like(param)
    optimizer.step()
    optimizer.zero_grad()
    group["lr"] = lr
    for state in optimizer.state.values():
        for tensor in state.values():
            tensor.zero_()
