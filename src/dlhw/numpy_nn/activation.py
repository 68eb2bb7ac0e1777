"""Activations: x of any shape -> y of the same shape, value by value (softmax: along one axis); dx = dy · dy/dx."""

import math

import numpy as np

from dlhw.numpy_nn.erf import erf
from dlhw.numpy_nn.layer import Array, Layer


class Identity(Layer):
    """y = x."""

    def forward(self, x: Array) -> Array:
        return x

    def backward(self, dy: Array) -> Array:
        return dy


class ReLU(Layer):
    """y = max(x, 0); the derivative is 1 where x > 0, else 0 (at 0 as well, as torch has it)."""

    def forward(self, x: Array) -> Array:
        self.positive = x > 0
        return np.maximum(x, 0)

    def backward(self, dy: Array) -> Array:
        return dy * self.positive


class LeakyReLU(Layer):
    """y = x where x > 0, else slope · x; the derivative is 1 or the slope."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Array) -> Array:
        self.positive = x > 0
        return np.where(self.positive, x, self.negative_slope * x)

    def backward(self, dy: Array) -> Array:
        return np.where(self.positive, dy, self.negative_slope * dy)


class Tanh(Layer):
    """y = tanh x; dy/dx = 1 - y²."""

    def forward(self, x: Array) -> Array:
        self.y: Array = np.tanh(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * (1 - self.y * self.y)


class Sigmoid(Layer):
    """y = σ(x) = 1 / (1 + e⁻ˣ); dy/dx = y (1 - y)."""

    def forward(self, x: Array) -> Array:
        self.y = sigmoid(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * (self.y * (1 - self.y))


class SiLU(Layer):
    """y = x σ(x); dy/dx = σ + x σ (1 - σ) = σ + y (1 - σ)."""

    def forward(self, x: Array) -> Array:
        self.sigma = sigmoid(x)
        self.y = x * self.sigma
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * (self.sigma + self.y * (1 - self.sigma))


class LogSigmoid(Layer):
    """y = log σ(x) = min(x, 0) - log(1 + e^-|x|); dy/dx = 1 - σ(x) = σ(-x)."""

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))

    def backward(self, dy: Array) -> Array:
        return dy * sigmoid(-self.x)


class GELU(Layer):
    """y = x Φ(x), Φ(x) = (1 + erf(x / √2)) / 2 the normal distribution's share below x; dy/dx = Φ(x) + x φ(x).

    φ(x) = exp(-x² / 2) / √(2π) is its density.
    """

    def forward(self, x: Array) -> Array:
        self.x, self.below = x, (1 + erf(x / math.sqrt(2))) / 2
        return x * self.below

    def backward(self, dy: Array) -> Array:
        near = self.x.clip(-40, 40)  # the density is 0 beyond, and the square would overflow
        density: Array = np.exp(-near * near / 2) / math.sqrt(2 * math.pi)
        return dy * (self.below + self.x * density)


class Softmax(Layer):
    """y = exp(x) / Σ exp(x), the sum along `dim`; dx = y (dy - Σ dy y)."""

    def __init__(self, dim: int = 1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Array) -> Array:
        powers: Array = np.exp(x - x.max(self.dim, keepdims=True))  # the same quotient, and no overflow
        total: Array = powers.sum(self.dim, keepdims=True)
        self.y = powers / total
        return self.y

    def backward(self, dy: Array) -> Array:
        shared: Array = (dy * self.y).sum(self.dim, keepdims=True)
        return self.y * (dy - shared)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ) where x >= 0, eˣ / (1 + eˣ) below: the exponent is never positive, so nothing overflows."""
    power: Array = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, power) / (1 + power)
