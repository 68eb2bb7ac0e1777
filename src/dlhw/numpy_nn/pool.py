"""Pooling: each map (H, W) becomes smaller, channel by channel."""

import math
from collections.abc import Iterator

import numpy as np

from dlhw.numpy_nn.layer import Array, Layer
from dlhw.numpy_nn.resize import resized


def offsets(x: Array, kernel_size: int, stride: int) -> Iterator[Array]:
    """For each place (i, j) in a window, row by row: the view (N, C, OH, OW) of x's pixels there, of all windows."""
    rows, columns = ((size - kernel_size) // stride * stride + 1 for size in x.shape[2:])
    for i in range(kernel_size):
        for j in range(kernel_size):
            yield x[:, :, i : i + rows : stride, j : j + columns : stride]


class MaxPool2d(Layer):
    """x (N, C, H, W) -> y (N, C, OH, OW), the largest of each window; OH = (H + 2 padding - kernel_size) // stride + 1.

    dx is dy where x was the largest, the first of equals, row by row; and 0 elsewhere. Windows that overlap add.
    """

    def __init__(self, kernel_size: int, stride: int | None = None, padding: int = 0) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride or kernel_size, padding

    def forward(self, x: Array) -> Array:
        self.x = bordered(x, self.padding, -math.inf) if self.padding else x
        first, *others = offsets(self.x, self.kernel_size, self.stride)
        self.y = first.copy("K")
        for values in others:
            np.maximum(self.y, values, out=self.y)
        return self.y

    def backward(self, dy: Array) -> Array:
        dx = np.zeros_like(self.x, dtype=dy.dtype)
        dy = np.add(dy, 0, out=np.empty_like(self.y, dtype=dy.dtype))  # in y's order in memory, as all the rest is
        free = np.ones_like(self.y, dtype=bool)  # windows whose largest has not been met yet
        pairs = zip(*(offsets(array, self.kernel_size, self.stride) for array in (self.x, dx)), strict=True)
        for values, gradients in pairs:
            largest = (values == self.y) & free
            gradients += largest * dy
            free &= ~largest
        p = self.padding
        return dx[:, :, p : dx.shape[2] - p, p : dx.shape[3] - p]


class AvgPool2d(Layer):
    """x (N, C, H, W) -> y (N, C, OH, OW), the mean of each window; OH = (H - kernel_size) // stride + 1.

    y = sum of x over the window / k², hence dx = sum of dy / k² over the windows that hold x.
    """

    def __init__(self, kernel_size: int, stride: int | None = None) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride or kernel_size

    def forward(self, x: Array) -> Array:
        self.like = x
        first, *others = offsets(x, self.kernel_size, self.stride)
        y = first.copy("K")
        for values in others:
            y += values
        y /= self.kernel_size**2
        return y

    def backward(self, dy: Array) -> Array:
        dx = np.zeros_like(self.like, dtype=dy.dtype)
        share = dy / self.kernel_size**2
        for gradients in offsets(dx, self.kernel_size, self.stride):
            gradients += share
        return dx


class AdaptiveAvgPool2d(Layer):
    """x (N, C, H, W) -> y (N, C, *output_size): output i is the mean of the pixels from ⌊iH/OH⌋ to ⌈(i+1)H/OH⌉.

    Rows and columns are averaged one after the other, each by a matrix: Y = R X Cᵀ, hence dX = Rᵀ dY C.
    """

    def __init__(self, output_size: int | tuple[int, int]) -> None:
        super().__init__()
        self.output_size = (output_size, output_size) if isinstance(output_size, int) else output_size

    def forward(self, x: Array) -> Array:
        sizes = zip(x.shape[2:], self.output_size, strict=True)
        self.rows, self.columns = (averages(size, out).astype(x.dtype) for size, out in sizes)
        return resized(x, self.rows, self.columns)

    def backward(self, dy: Array) -> Array:
        return resized(dy, self.rows.T, self.columns.T)


def averages(size: int, out: int) -> Array:
    """(out, size): each row takes the mean over its share of `size` places."""
    matrix = np.zeros((out, size))
    for i in range(out):
        share = slice(i * size // out, -(-(i + 1) * size // out))
        matrix[i, share] = 1 / (share.stop - share.start)
    return matrix


def bordered(x: Array, padding: int, value: float) -> Array:
    """`value` around the maps of (N, C, H, W)."""
    height, width = (size + 2 * padding for size in x.shape[2:])
    y = np.full_like(x, value, shape=(*x.shape[:2], height, width))
    y[:, :, padding : height - padding, padding : width - padding] = x
    return y
