"""A convolution's windows as the columns of a matrix, and the way back. Both serve Conv2d and ConvTranspose2d.

Here arrays are (C, H, W, N), the batch innermost: a row of pixels of the whole batch is then one stretch of memory, so
that windows are copied in long runs, and a matrix product leaves its result in the same order for the next layer.
To the reader outside they stay (N, C, H, W): `batch_last` and `batch_first` turn the axes and move nothing.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from dlhw.numpy_nn.layer import Array


def batch_last(x: Array) -> Array:
    return x.transpose(1, 2, 3, 0)


def batch_first(x: Array) -> Array:
    return x.transpose(3, 0, 1, 2)


def im2col(x: Array, kernel: tuple[int, int], stride: int, padding: int) -> Array:
    """(C, H, W, N) -> (C*kh*kw, OH*OW*N): column (oh, ow, n) is the window of which sample n's output there is made.

    The windows are a view that reaches each pixel up to kh*kw times; `reshape` copies it, once (1x1 windows: never).
    """
    x = padded(x, padding) if padding else x
    (kh, kw), (channels, height, width, n) = kernel, x.shape
    c, h, w, b = x.strides
    shape = (channels, kh, kw, (height - kh) // stride + 1, (width - kw) // stride + 1, n)
    windows = as_strided(x, shape, (c, h, w, h * stride, w * stride, b), writeable=False)
    return windows.reshape(channels * kh * kw, -1)


def col2im(
    columns: Array, shape: tuple[int, ...], kernel: tuple[int, int], out: tuple[int, int], stride: int, padding: int
) -> Array:
    """The transpose of im2col: each entry of the columns, of `out` windows, is added where im2col had read it.

    Returns `shape`, (C, H, W, N).
    """
    (channels, height, width, n), (kh, kw), (oh, ow) = shape, kernel, out
    columns = columns.reshape(channels, kh, kw, oh, ow, n)
    x = np.zeros((channels, height + 2 * padding, width + 2 * padding, n), columns.dtype)
    for i in range(kh):
        for j in range(kw):
            x[:, i : i + stride * oh : stride, j : j + stride * ow : stride] += columns[:, i, j]
    return x[:, padding : padding + height, padding : padding + width]


def padded(x: Array, padding: int) -> Array:
    """Zeros around the maps of (C, H, W, N)."""
    channels, height, width, n = x.shape
    y = np.zeros((channels, height + 2 * padding, width + 2 * padding, n), x.dtype)
    y[:, padding : padding + height, padding : padding + width] = x
    return y
