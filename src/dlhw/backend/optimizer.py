"""A torch optimizer whose step is numpy_nn's. Its state is torch's, so that either backend goes on from the other's."""

from dataclasses import fields

import torch
from torch import optim

from dlhw import numpy_nn as twins
from dlhw.backend.layers import NoTwin

OPTIMIZERS: dict[type[optim.Optimizer], type[twins.Optimizer]] = {
    optim.SGD: twins.SGD,
    optim.Adam: twins.Adam,
    optim.AdamW: twins.AdamW,
    optim.RMSprop: twins.RMSprop,
}
REFUSED = ("amsgrad", "maximize", "decoupled_weight_decay")  # the last is what makes an Adam an AdamW


class TwinOptimizer(optim.Optimizer):
    """Over the same param_groups, which torch's schedulers change, with state in the same format."""

    def __init__(self, optimizer: optim.Optimizer) -> None:
        """Raises NoTwin."""
        kind, name = type(optimizer), type(optimizer).__name__
        if kind not in OPTIMIZERS:
            raise NoTwin(name)
        for option in REFUSED:
            if optimizer.defaults.get(option) and (kind, option) != (optim.AdamW, "decoupled_weight_decay"):
                raise NoTwin(f"{name} with {option}=true")
        super().__init__(optimizer.param_groups, optimizer.defaults)
        self.state = optimizer.state
        self.twin = OPTIMIZERS[kind](lr=optimizer.defaults["lr"])
        self.options = [option.name for option in fields(self.twin)]

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            tensors = [p for p in group["params"] if p.grad is not None]
            params, grads = [p.numpy() for p in tensors], [p.grad.numpy() for p in tensors]
            states = [{name: value.numpy() for name, value in self.state.get(p, {}).items()} for p in tensors]
            self.twin.step(params, grads, states, **{option: group[option] for option in self.options})
            for p, state in zip(tensors, states, strict=True):
                if state:  # as torch, which keeps none for plain SGD
                    self.state[p] = {name: torch.from_numpy(value) for name, value in state.items()}
