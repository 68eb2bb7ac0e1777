"""How fast numpy_nn's convolution is: Conv2d forward and backward against an im2col with copied columns.

plain is the im2col of course code (Stanford's cs231n, Saito's Deep Learning from Scratch): a loop over the kernel's
offsets copies into (N, C, kh, kw, OH, OW), whose transposed copy is multiplied; col2im goes the same way back. Both
keep the columns for the backward pass, both give the gradients of input, weight and bias, in float32.

matmul is the limit of both: the three matrix products alone. Where plain / matmul is below 2, no other way of making
and spreading the columns can be twice as fast as plain.

One thread; float32. A chunk is one forward and backward pass.

    python benchmarks/numpy_conv.py [--rounds 11] [--batch 100] [--sizes lenet5_conv1 ...]
"""

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))  # before NumPy is imported

from collections.abc import Callable, Sequence

import numpy as np
from measure import Chunk, Report, Rounds, Row, arguments, median, parsed, ratio, speeds

from dlhw.numpy_nn import Array, Conv2d

SIZES = {  # in channels, out channels, kernel, padding, side of the map
    "lenet5_conv1": (1, 6, 5, 2, 28),
    "lenet5_conv2": (6, 16, 5, 0, 14),
    "lenet5_conv3": (16, 120, 5, 0, 5),
    "vgg16_conv1": (3, 64, 3, 1, 32),
    "vgg16_conv3": (64, 128, 3, 1, 16),
    "vgg16_conv5": (128, 256, 3, 1, 8),
    "vgg16_conv8": (256, 512, 3, 1, 4),
    "vgg16_conv11": (512, 512, 3, 1, 2),
}


class PlainConv2d:
    """As course code has it, channels and batch as torch orders them."""

    def __init__(self, weight: Array, bias: Array, padding: int) -> None:
        self.weight, self.bias, self.padding = weight, bias, padding

    def forward(self, x: Array) -> Array:
        (n, c, h, w), (o, _, kh, kw), p = x.shape, self.weight.shape, self.padding
        oh, ow = h + 2 * p - kh + 1, w + 2 * p - kw + 1
        image = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        columns = np.zeros((n, c, kh, kw, oh, ow), x.dtype)
        for i in range(kh):
            for j in range(kw):
                columns[:, :, i, j] = image[:, :, i : i + oh, j : j + ow]
        self.shape, self.columns = x.shape, columns.transpose(0, 4, 5, 1, 2, 3).reshape(n * oh * ow, -1)
        y: Array = np.dot(self.columns, self.weight.reshape(o, -1).T) + self.bias
        return y.reshape(n, oh, ow, o).transpose(0, 3, 1, 2)

    def backward(self, dy: Array) -> Array:
        (n, c, h, w), (o, _, kh, kw), p = self.shape, self.weight.shape, self.padding
        oh, ow = dy.shape[2:]
        rows = dy.transpose(0, 2, 3, 1).reshape(-1, o)
        self.dbias = rows.sum(0)
        self.dweight = np.dot(self.columns.T, rows).T.reshape(self.weight.shape)
        dcolumns = np.dot(rows, self.weight.reshape(o, -1))
        dcolumns = dcolumns.reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)
        image = np.zeros((n, c, h + 2 * p, w + 2 * p), dy.dtype)
        for i in range(kh):
            for j in range(kw):
                image[:, :, i : i + oh, j : j + ow] += dcolumns[:, :, i, j]
        return image[:, :, p : p + h, p : p + w]


class Variants:
    """The layer in both ways, with the same weights, inputs and gradients.

    Each gets its inputs (but for a net's first layer) and gradients in the order in memory in which it returns maps
    itself: so they reach it in a net, since activations and pooling keep that order. matmul is the limit of both: their
    three matrix products alone, of operands that lie ready.
    """

    def __init__(self, size: tuple[int, ...], batch: int) -> None:
        channels, out, kernel, padding, side = size
        rng = np.random.default_rng(0)
        weight, bias, x = (
            rng.standard_normal(shape, np.float32)
            for shape in ((out, channels, kernel, kernel), (out,), (batch, channels, side, side))
        )
        self.plain, self.ours = PlainConv2d(weight, bias, padding), Conv2d(weight, bias, padding=padding)
        dy = rng.standard_normal(self.plain.forward(x).shape, np.float32)
        first = channels in (1, 3)
        self.plain_arrays = (x if first else ordered(x, (0, 2, 3, 1)), ordered(dy, (0, 2, 3, 1)))
        self.our_arrays = (x if first else ordered(x, (1, 2, 3, 0)), ordered(dy, (1, 2, 3, 0)))
        self.matrix, self.rows = weight.reshape(out, -1), dy.transpose(1, 2, 3, 0).reshape(out, -1).copy()
        self.check()
        self.chunks: dict[str, Chunk] = {
            "plain": once(lambda: forward_backward(self.plain, *self.plain_arrays)),
            "numpy_nn": once(lambda: forward_backward(self.ours, *self.our_arrays)),
            "matmul": once(self.matmul),
        }

    def matmul(self) -> None:
        columns = self.ours.columns
        for left, right in ((self.matrix, columns), (self.rows, columns.T), (self.matrix.T, self.rows)):
            left @ right

    def check(self) -> None:
        """What is compared gives the same."""
        expected = [*forward_backward(self.plain, *self.plain_arrays), self.plain.dweight, self.plain.dbias]
        found = [*forward_backward(self.ours, *self.our_arrays), *self.ours.grads.values()]
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * float(np.abs(b).max()))


def ordered(x: Array, axes: tuple[int, ...]) -> Array:
    """The same array with these axes from the outermost in memory to the innermost."""
    return x.transpose(axes).copy().transpose(np.argsort(axes))


def forward_backward(layer: Conv2d | PlainConv2d, x: Array, dy: Array) -> tuple[Array, Array]:
    return layer.forward(x), layer.backward(dy)


def once(work: Callable[[], object]) -> Chunk:
    def chunk() -> int:
        work()
        return 1

    return chunk


def together(layers: Sequence[Rounds]) -> Rounds:
    """Several layers as one, round by round: their times add up."""
    return {
        name: [1 / sum(1 / speed for speed in one) for one in zip(*(layer[name] for layer in layers), strict=True)]
        for name in layers[0]
    }


def row(name: str, measured: Rounds) -> Row:
    times: Row = {f"{variant}, ms": 1000 / median(values) for variant, values in measured.items()}
    return {
        "layer": name,
        **times,
        "plain / numpy_nn": ratio(measured["numpy_nn"], measured["plain"]),  # of times: the inverse of speeds
        "plain / matmul": ratio(measured["matmul"], measured["plain"]),
    }


def main() -> None:
    parser = arguments(__doc__, "numpy_conv", rounds=11, devices=["cpu"])
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    args = parsed(parser)
    report = Report("NumPy's convolution", args)
    for name in args.sizes:
        measured = speeds(Variants(SIZES[name], args.batch).chunks, args.rounds)
        report.add(row(name, measured), measured)
    for net in ("lenet5", "vgg16"):
        layers = [measured for name, measured in report.rounds.items() if name.startswith(net)]
        if len(layers) > 1:
            report.add(row(f"these of {net}", together(layers)))
    report.write()


if __name__ == "__main__":
    main()
