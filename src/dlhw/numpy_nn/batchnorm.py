"""Batch normalisation (Ioffe and Szegedy, 2015)."""

import numpy as np

from dlhw.numpy_nn.layer import Array, Layer


class BatchNorm(Layer):
    """x (N, C), (N, C, L) or (N, C, H, W) -> y of the same shape; weight, bias and running statistics are (C,).

    With μ and σ² over all axes but C, m values each, x̂ = (x - μ) / √(σ² + eps) and y = weight x̂ + bias:
    dweight = Σ dy x̂    dbias = Σ dy    dx = weight / √(σ² + eps) · (dy - Σdy / m - x̂ Σ(dy x̂) / m)
    The last two terms are there because μ and σ² depend on x; in evaluation they are constants, and the terms vanish.
    """

    def __init__(
        self,
        weight: Array,
        bias: Array,
        running_mean: Array,
        running_var: Array,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__(weight=weight, bias=bias)
        self.running_mean, self.running_var = running_mean, running_var
        self.eps, self.momentum = eps, momentum

    def forward(self, x: Array) -> Array:
        self.axes = (0, *range(2, x.ndim))
        self.columns = (-1, *[1] * (x.ndim - 2))  # the shape in which (C,) stands beside x
        self.by_batch = self.training
        mean, var = self.batch_statistics(x) if self.training else (self.running_mean, self.running_var)
        self.scale: Array = (1 / np.sqrt(var + self.eps)).reshape(self.columns)
        self.normed = (x - mean.reshape(self.columns)) * self.scale
        y: Array = self.normed * self.params["weight"].reshape(self.columns)
        y += self.params["bias"].reshape(self.columns)
        return y

    def backward(self, dy: Array) -> Array:
        m = dy.size // dy.shape[1]
        self.grads["bias"] = dy.sum(self.axes)
        self.grads["weight"] = (dy * self.normed).sum(self.axes)
        dx = dy
        if self.by_batch:
            dx = dx - (self.grads["bias"] / m).reshape(self.columns)
            dx -= self.normed * (self.grads["weight"] / m).reshape(self.columns)
        return dx * (self.params["weight"].reshape(self.columns) * self.scale)

    def batch_statistics(self, x: Array) -> tuple[Array, Array]:
        """Mean and variance; the running ones move towards them in place, the variance as the unbiased one."""
        m = x.size // x.shape[1]
        if m == 1:
            raise ValueError(f"batch norm cannot train on one value a channel: the input is {x.shape}")
        mean, var = x.mean(self.axes), x.var(self.axes)
        for running, now in ((self.running_mean, mean), (self.running_var, var * (m / (m - 1)))):
            running *= 1 - self.momentum
            running += self.momentum * now
        return mean, var
