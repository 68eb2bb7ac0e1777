"""Convolution and its transpose, each one matrix product over the windows' columns (see columns.py)."""

from dlhw.numpy_nn.columns import batch_first, batch_last, col2im, im2col
from dlhw.numpy_nn.layer import Array, Layer


class Conv2d(Layer):
    """x (N, C, H, W) -> y (N, O, OH, OW), OH = (H + 2 padding - kh) // stride + 1; weight (O, C, kh, kw), bias (O,).

    With the windows of x as columns X (C*kh*kw, OH*OW*N) and the weight as a matrix W (O, C*kh*kw), all else is
    the affine layer:    Y = W X + b    dW = dY Xᵀ    db = sum of dY over pixels and samples    dX = Wᵀ dY
    A pixel stands in several windows, so its gradient is the sum of its places in dX: that is col2im.
    """

    def __init__(self, weight: Array, bias: Array | None = None, stride: int = 1, padding: int = 0) -> None:
        super().__init__(weight=weight, bias=bias)
        self.kernel = (weight.shape[2], weight.shape[3])
        self.stride, self.padding = stride, padding

    def forward(self, x: Array) -> Array:
        weight = self.params["weight"]
        self.shape = batch_last(x).shape
        self.columns = im2col(batch_last(x), self.kernel, self.stride, self.padding)
        self.out = self.out_size(x.shape[2], x.shape[3])
        y = weight.reshape(len(weight), -1) @ self.columns
        if "bias" in self.params:
            y += self.params["bias"][:, None]
        return batch_first(y.reshape(len(weight), *self.out, len(x)))

    def backward(self, dy: Array) -> Array:
        weight = self.params["weight"]
        rows = batch_last(dy).reshape(len(weight), -1)
        self.grads["weight"] = (rows @ self.columns.T).reshape(weight.shape)
        if "bias" in self.params:
            self.grads["bias"] = rows.sum(1)
        dcolumns = weight.reshape(len(weight), -1).T @ rows
        return batch_first(col2im(dcolumns, self.shape, self.kernel, self.out, self.stride, self.padding))

    def out_size(self, height: int, width: int) -> tuple[int, int]:
        (kh, kw), around = self.kernel, 2 * self.padding
        return (height + around - kh) // self.stride + 1, (width + around - kw) // self.stride + 1


class ConvTranspose2d(Layer):
    """x (N, C, H, W) -> y (N, O, OH, OW), OH = (H - 1) stride - 2 padding + kh; weight (C, O, kh, kw), bias (O,).

    Conv2d with forward and backward exchanged: each pixel is spread over a window, windows that overlap are added.
    With x as a matrix X (C, H*W*N), the weight as W (C, O*kh*kw), and D the columns of dy's windows:
    y = col2im(Wᵀ X) + b    dW = X Dᵀ    db = sum of dy over pixels and samples    dX = W D
    """

    def __init__(self, weight: Array, bias: Array | None = None, stride: int = 1, padding: int = 0) -> None:
        super().__init__(weight=weight, bias=bias)
        self.kernel = (weight.shape[2], weight.shape[3])
        self.stride, self.padding = stride, padding

    def forward(self, x: Array) -> Array:
        weight = self.params["weight"]
        n, channels, height, width = x.shape
        (kh, kw), less = self.kernel, 2 * self.padding
        shape = (weight.shape[1], (height - 1) * self.stride - less + kh, (width - 1) * self.stride - less + kw, n)
        self.shape, self.rows = x.shape, batch_last(x).reshape(channels, -1)
        columns = weight.reshape(channels, -1).T @ self.rows
        y = batch_first(col2im(columns, shape, self.kernel, (height, width), self.stride, self.padding))
        if "bias" in self.params:
            y += self.params["bias"][:, None, None]
        return y

    def backward(self, dy: Array) -> Array:
        weight = self.params["weight"]
        n, channels, height, width = self.shape
        dcolumns = im2col(batch_last(dy), self.kernel, self.stride, self.padding)
        self.grads["weight"] = (self.rows @ dcolumns.T).reshape(weight.shape)
        if "bias" in self.params:
            self.grads["bias"] = dy.sum((0, 2, 3))
        dx = weight.reshape(channels, -1) @ dcolumns
        return batch_first(dx.reshape(channels, height, width, n))
