"""Dropout (Srivastava et al., 2014)."""

import numpy as np

from dlhw.numpy_nn.layer import Array, Layer, Rng


class Dropout(Layer):
    """In training each value is zero with probability p, the others are divided by 1 - p; in evaluation y = x.

    y = x mask, mask being 0 or 1 / (1 - p), hence dx = dy mask. `rng` may be exchanged between two forward passes.
    """

    def __init__(self, p: float = 0.5, rng: Rng | None = None) -> None:
        if not 0 <= p < 1:
            raise ValueError(f"p={p}: must be at least 0 and below 1")
        super().__init__()
        self.p, self.rng = p, np.random.default_rng() if rng is None else rng

    def forward(self, x: Array) -> Array:
        self.mask: Array | None = None
        if not self.training:
            return x
        self.mask = np.empty_like(x)
        self.mask.ravel("K")[:] = self.rng.random(x.size, np.float32) >= self.p  # filled as it lies in memory
        self.mask /= 1 - self.p
        return x * self.mask

    def backward(self, dy: Array) -> Array:
        return dy if self.mask is None else dy * self.mask
