"""Losses: forward(outputs, targets) -> one number; backward() -> its gradient with respect to the outputs."""

from typing import Literal

import numpy as np

from dlhw.numpy_nn.activation import Softmax
from dlhw.numpy_nn.layer import Array, Targets


def one_hot(targets: Targets, outputs: Array) -> Array:
    """Targets (N, ...) of K classes -> (N, K, ...) as the outputs: 1 at the target, else 0."""
    classes = np.arange(outputs.shape[1]).reshape(-1, *[1] * (targets.ndim - 1))
    hot: Array = (targets[:, None] == classes).astype(outputs.dtype)
    return hot


class CrossEntropyLoss:
    """Logits z (N, K) or (N, K, ...), integer targets (N,) or (N, ...): the mean of -log softmax(z) at the targets.

    dz = (softmax(z) - onehot) / N, N counting all targets. In general the targets are q: one-hot, of which
    `label_smoothing` is spread evenly over the K classes, and each class times its weight. Then, W being the sum of
    the targets' weights, loss = -Σ q log softmax(z) / W and dz = (softmax(z) Σq - q) / W, Σq over the classes.
    """

    def __init__(self, weight: Array | None = None, label_smoothing: float = 0.0) -> None:
        self.weight, self.label_smoothing = weight, label_smoothing

    def forward(self, outputs: Array, targets: Targets) -> float:
        hard = one_hot(targets, outputs)
        weight = np.ones(outputs.shape[1], outputs.dtype) if self.weight is None else self.weight
        weight = weight.reshape(-1, *[1] * (outputs.ndim - 2))
        self.q = weight * (hard * (1 - self.label_smoothing) + self.label_smoothing / outputs.shape[1])
        self.total = (weight * hard).sum()
        shifted = outputs - outputs.max(1, keepdims=True)  # so that no power overflows
        self.log_probs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        return float(-(self.q * self.log_probs).sum() / self.total)

    def backward(self) -> Array:
        dz: Array = (np.exp(self.log_probs) * self.q.sum(1, keepdims=True) - self.q) / self.total
        return dz


class MSELoss:
    """The mean (or sum) of (p - y)² over all values; dp = 2 (p - y) / number of values (or 2 (p - y)).

    Floating targets: p is the outputs. Integer targets (N,): p = softmax(outputs), outputs (N, K), and y is one-hot.
    """

    def __init__(self, reduction: Literal["mean", "sum"] = "mean") -> None:
        self.reduction, self.softmax = reduction, Softmax(dim=1)

    def forward(self, outputs: Array, targets: Targets) -> float:
        self.classes = np.issubdtype(targets.dtype, np.integer)
        p, y = (self.softmax.forward(outputs), one_hot(targets, outputs)) if self.classes else (outputs, targets)
        if p.shape != y.shape:
            raise ValueError(f"MSELoss takes outputs and targets of one shape, not {p.shape} and {y.shape}")
        self.difference = p - y
        self.count = outputs.size if self.reduction == "mean" else 1
        return float((self.difference**2).sum() / self.count)

    def backward(self) -> Array:
        dp = self.difference * (2 / self.count)
        return self.softmax.backward(dp) if self.classes else dp


class MultiMarginLoss:
    """Outputs x (N, K), integer targets t (N,): the mean over samples of Σ max(0, margin - x_t + x_k)ᵖ / K, k ≠ t.

    With v = max(0, margin - x_t + x_k), 0 for k = t:    dx_k = p vᵖ⁻¹ / (N K) where v > 0    dx_t = -Σ dx_k
    """

    def __init__(self, p: Literal[1, 2] = 1, margin: float = 1.0) -> None:
        self.p, self.margin = p, margin

    def forward(self, outputs: Array, targets: Targets) -> float:
        self.right = targets[:, None]
        violations = self.margin - np.take_along_axis(outputs, self.right, 1) + outputs
        self.violations: Array = np.maximum(violations, 0)
        np.put_along_axis(self.violations, self.right, 0, 1)
        return float((self.violations**self.p).sum() / outputs.size)

    def backward(self) -> Array:
        slopes = np.where(self.violations > 0, self.p * self.violations ** (self.p - 1), 0) / self.violations.size
        np.put_along_axis(slopes, self.right, -slopes.sum(1, keepdims=True), 1)
        return slopes
