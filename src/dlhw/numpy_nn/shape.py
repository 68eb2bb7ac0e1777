"""Layers that move values and change none: gradients go the way back."""

from typing import Any

import numpy as np

from dlhw.numpy_nn.layer import Array, Layer


class Flatten(Layer):
    """x (N, C, H, W) -> y (N, C*H*W) for start_dim=1: all axes from there on become one.

    dx lies in memory as x did: the layers below would be slow on two arrays of different orders.
    """

    def __init__(self, start_dim: int = 1) -> None:
        super().__init__()
        self.start_dim = start_dim

    def forward(self, x: Array) -> Array:
        self.like = x
        return x.reshape(*x.shape[: self.start_dim], -1)

    def backward(self, dy: Array) -> Array:
        dx = np.empty_like(self.like, dtype=dy.dtype)
        dx[...] = dy.reshape(dx.shape)
        return dx


class ZeroPad2d(Layer):
    """x (N, C, H, W) -> y (N, C, H + top + bottom, W + left + right): zeros around the maps; negative widths crop.

    dx is dy cropped by what was padded, and padded by what was cropped.
    """

    def __init__(self, left: int, right: int, top: int, bottom: int) -> None:
        super().__init__()
        self.widths = (left, right, top, bottom)

    def forward(self, x: Array) -> Array:
        return zero_padded(x, *self.widths)

    def backward(self, dy: Array) -> Array:
        return zero_padded(dy, *(-width for width in self.widths))


def zero_padded(x: Array, left: int, right: int, top: int, bottom: int) -> Array:
    height, width = x.shape[2:]
    y = np.zeros_like(x, shape=(*x.shape[:2], height + top + bottom, width + left + right))
    kept = x[:, :, max(-top, 0) : height - max(-bottom, 0), max(-left, 0) : width - max(-right, 0)]
    row, column = max(top, 0), max(left, 0)
    y[:, :, row : row + kept.shape[2], column : column + kept.shape[3]] = kept
    return y


class Index(Layer):
    """y = x[index], of integers and slices: the last of an RNN's states, or a crop. dx is dy there, 0 elsewhere."""

    def __init__(self, index: Any) -> None:
        super().__init__()
        self.index = index

    def forward(self, x: Array) -> Array:
        self.like = x
        y: Array = x[self.index]
        return y

    def backward(self, dy: Array) -> Array:
        dx = np.zeros_like(self.like, dtype=dy.dtype)
        dx[self.index] = dy
        return dx


class Add(Layer):
    """y = x1 + x2 + ..., all of one shape: each gets dy."""

    def forward(self, *xs: Array) -> Array:
        if len({x.shape for x in xs}) != 1:
            raise ValueError(f"Add takes arrays of one shape, not {', '.join(str(x.shape) for x in xs)}")
        self.count, y = len(xs), xs[0]
        for x in xs[1:]:
            y = y + x
        return y

    def backward(self, dy: Array) -> tuple[Array, ...]:
        return (dy,) * self.count


class Concatenate(Layer):
    """Arrays one behind the other along `dim`, for example (N, C1, H, W) and (N, C2, H, W) -> (N, C1 + C2, H, W).

    Each gets its part of dy.
    """

    def __init__(self, dim: int = 1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, *xs: Array) -> Array:
        self.ends = np.cumsum([x.shape[self.dim] for x in xs])
        return np.concatenate(xs, self.dim)

    def backward(self, dy: Array) -> tuple[Array, ...]:
        return tuple(np.split(dy, self.ends[:-1], self.dim))
