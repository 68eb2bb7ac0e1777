"""Optimizers. They hold hyperparameters alone: parameters, gradients and state are the caller's, changed in place.

    sgd, state = SGD(lr=0.1, momentum=0.9), [{} for _ in params]
    sgd.step(params, grads, state)
    sgd.step(params, grads, state, lr=0.05)  # for this step: what a schedule does

Names and meanings are torch's, those of the state too. Each class shows the update of one parameter θ with gradient g.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dlhw.numpy_nn.layer import Array

State = dict[str, Any]  # arrays by torch's names


@dataclass(frozen=True)
class Optimizer:
    lr: float

    def step(
        self, params: Sequence[Array], grads: Sequence[Array | None], state: Sequence[State], **hyperparameters: Any
    ) -> None:
        """Update each parameter that has a gradient. `state` is a dict for each, empty before the first step."""
        now = replace(self, **hyperparameters)
        for param, grad, kept in zip(params, grads, state, strict=True):
            if grad is not None:
                now.update(param, grad, kept)

    def update(self, param: Array, grad: Array, state: State) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class SGD(Optimizer):
    """g += weight_decay θ;    b = momentum b + (1 - dampening) g, in the first step b = g;    θ -= lr b

    nesterov: θ -= lr (g + momentum b), a look ahead.
    """

    lr: float = 1e-3
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def update(self, param: Array, grad: Array, state: State) -> None:
        grad = decayed(param, grad, self.weight_decay)
        if self.momentum:
            buffer = state.get("momentum_buffer")
            if buffer is None:
                buffer = state["momentum_buffer"] = np.array(grad)
            else:
                buffer *= self.momentum
                buffer += (1 - self.dampening) * grad
            grad = grad + self.momentum * buffer if self.nesterov else buffer
        param -= self.lr * grad


@dataclass(frozen=True)
class Adam(Optimizer):
    """g += weight_decay θ;    m = β1 m + (1 - β1) g;    v = β2 v + (1 - β2) g²

    θ -= lr m̂ / (√v̂ + eps), where m̂ = m / (1 - β1ᵗ) and v̂ = v / (1 - β2ᵗ) make up for m and v starting at 0.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def update(self, param: Array, grad: Array, state: State) -> None:
        self.descend(param, decayed(param, grad, self.weight_decay), state)

    def descend(self, param: Array, grad: Array, state: State) -> None:
        start(state, param, "exp_avg", "exp_avg_sq")
        mean, square, (beta1, beta2) = state["exp_avg"], state["exp_avg_sq"], self.betas
        state["step"] += 1
        t = float(state["step"])
        mean += (1 - beta1) * (grad - mean)
        square *= beta2
        square += (1 - beta2) * grad * grad
        root = np.sqrt(square)
        root /= math.sqrt(1 - beta2**t)
        root += self.eps
        param -= self.lr / (1 - beta1**t) * mean / root


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam, but for the decay, which goes past m and v: θ *= 1 - lr weight_decay (Loshchilov and Hutter, 2019)."""

    weight_decay: float = 0.01

    def update(self, param: Array, grad: Array, state: State) -> None:
        param *= 1 - self.lr * self.weight_decay
        self.descend(param, grad, state)


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """g += weight_decay θ;    v = α v + (1 - α) g²;    θ -= lr g / (√v + eps)

    centered: √(v - ḡ²) with ḡ = α ḡ + (1 - α) g.    momentum: b = momentum b + g / (√v + eps);    θ -= lr b
    """

    lr: float = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False

    def update(self, param: Array, grad: Array, state: State) -> None:
        grad = decayed(param, grad, self.weight_decay)
        start(state, param, "square_avg", *["momentum_buffer"] * bool(self.momentum), *["grad_avg"] * self.centered)
        state["step"] += 1
        square = state["square_avg"]
        square *= self.alpha
        square += (1 - self.alpha) * grad * grad
        if self.centered:
            state["grad_avg"] += (1 - self.alpha) * (grad - state["grad_avg"])
            square = square - state["grad_avg"] ** 2
        change = grad / (np.sqrt(square) + self.eps)
        if self.momentum:
            state["momentum_buffer"] *= self.momentum
            state["momentum_buffer"] += change
            change = state["momentum_buffer"]
        param -= self.lr * change


def decayed(param: Array, grad: Array, weight_decay: float) -> Array:
    """The gradient with that of weight_decay |θ|² / 2."""
    return grad + weight_decay * param if weight_decay else grad


def start(state: State, param: Array, *names: str) -> None:
    """Before the first step: zeros as large as the parameter, and the number of steps as torch keeps it."""
    if "step" not in state:
        state["step"] = np.zeros((), np.float32)
    for name in names:
        if name not in state:
            state[name] = np.zeros_like(param)
