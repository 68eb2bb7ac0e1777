"""Maps of another size by two matrices: Upsample and AdaptiveAvgPool2d."""

import numpy as np

from dlhw.numpy_nn.columns import batch_first, batch_last
from dlhw.numpy_nn.layer import Array, Layer


def resized(x: Array, rows: Array, columns: Array) -> Array:
    """(N, C, H, W) -> (N, C, OH, OW): each map X becomes rows X columnsᵀ; rows (OH, H), columns (OW, W)."""
    n, channels, height, width = x.shape
    y = rows @ batch_last(x).reshape(channels, height, width * n)
    y = columns @ y.reshape(channels * len(rows), width, n)
    return batch_first(y.reshape(channels, len(rows), len(columns), n))


class Upsample(Layer):
    """x (N, C, H, W) -> y (N, C, scale*H, scale*W), bilinear: Y = R X Cᵀ, hence dX = Rᵀ dY C.

    A row of R holds the weights of the two rows of x between which an output row lies. Where it lies is as torch has
    it: with align_corners the first and last pixels' centres coincide, without it the outer edges do.
    """

    def __init__(self, scale: int = 2, align_corners: bool = False) -> None:
        super().__init__()
        self.scale, self.align_corners = scale, align_corners

    def forward(self, x: Array) -> Array:
        sizes = x.shape[2:]
        self.rows, self.columns = (interpolation(s, self.scale, self.align_corners).astype(x.dtype) for s in sizes)
        return resized(x, self.rows, self.columns)

    def backward(self, dy: Array) -> Array:
        return resized(dy, self.rows.T, self.columns.T)


def interpolation(size: int, scale: int, align_corners: bool) -> Array:
    """(scale*size, size): weights of the two neighbours of each output place."""
    out = np.arange(scale * size)
    places = out * (size - 1) / max(scale * size - 1, 1) if align_corners else (out + 0.5) / scale - 0.5
    places = places.clip(0, size - 1)
    left = np.floor(places).astype(int)
    right, share = np.minimum(left + 1, size - 1), places - left
    matrix = np.zeros((scale * size, size))
    matrix[out, left] += 1 - share
    matrix[out, right] += share
    return matrix
