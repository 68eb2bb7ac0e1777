"""The convolution as its definition says it, for reading and for tests: very slow."""

import numpy as np

from dlhw.numpy_nn.layer import Array


def conv2d_by_loops(x: Array, weight: Array, bias: Array | None = None, stride: int = 1, padding: int = 0) -> Array:
    """y[n, o, r, s] = b[o] + sum over c, i, j of x[n, c, r*stride + i, s*stride + j] * weight[o, c, i, j]."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    (n, _, height, width), (out, _, kh, kw) = x.shape, weight.shape
    y = np.zeros((n, out, (height - kh) // stride + 1, (width - kw) // stride + 1), x.dtype)
    for sample, o, r, s in np.ndindex(*y.shape):
        window = x[sample, :, r * stride : r * stride + kh, s * stride : s * stride + kw]
        y[sample, o, r, s] = (window * weight[o]).sum() + (0 if bias is None else bias[o])
    return y
