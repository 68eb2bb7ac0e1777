"""Which numpy_nn layer stands for which function or method that a torch module's forward calls."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional as F

from dlhw import numpy_nn as twins
from dlhw.backend.layers import NoTwin
from dlhw.numpy_nn import Layer

Arguments = tuple[Any, ...]


class Slice(twins.Index):
    """An Index that may differ at each forward, as a crop does that depends on the image's size."""

    def forward(self, x: np.ndarray, index: Any) -> np.ndarray:  # type: ignore[override]
        self.index = index
        return super().forward(x)


class Reshape(Layer):
    def forward(self, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:  # type: ignore[override]
        self.shape = x.shape
        return x.reshape(shape)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return dy.reshape(self.shape)


class RepeatEdges(Layer):
    """(N, C, H, W) larger by (left, right, top, bottom), edges repeated; an edge gets its copies' gradients too."""

    def forward(self, x: np.ndarray, pad: tuple[int, int, int, int]) -> np.ndarray:  # type: ignore[override]
        self.pad = left, right, top, bottom = pad
        return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), mode="edge")

    def backward(self, dy: np.ndarray) -> np.ndarray:
        left, right, top, bottom = self.pad
        return fold(fold(dy, 2, top, bottom), 3, left, right)


def fold(dy: np.ndarray, axis: int, before: int, after: int) -> np.ndarray:
    dy = np.moveaxis(dy, axis, 0)
    end = len(dy) - after
    dx = dy[before:end].copy()
    dx[0] += dy[:before].sum(0)
    dx[-1] += dy[end:].sum(0)
    return np.moveaxis(dx, 0, axis)


class Calculation(Layer):
    """Whole numbers from an array's shape; no gradient passes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any) -> Any:
        return self.function(*args)


def function_of(node: fx.Node) -> tuple[Layer, Arguments]:
    """A new layer and the arguments of its forward, of which those that are arrays get a gradient. Raises NoTwin."""
    if node.target not in FUNCTIONS:
        raise NoTwin(f"{name_of(node)}()")
    return FUNCTIONS[node.target](*node.args, **node.kwargs)


def name_of(node: fx.Node) -> str:
    return str(getattr(node.target, "__name__", node.target))


def add(x: Any, other: Any, alpha: float = 1) -> tuple[Layer, Arguments]:
    if not isinstance(x, fx.Node) or not isinstance(other, fx.Node) or alpha != 1:
        raise NoTwin("a sum with a number")
    return twins.Add(), (x, other)


def concatenate(tensors: Arguments, dim: int = 0) -> tuple[Layer, Arguments]:
    return twins.Concatenate(dim), tuple(tensors)


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> tuple[Layer, Arguments]:
    if end_dim != -1:
        raise NoTwin(f"flatten with end_dim={end_dim}")
    return twins.Flatten(start_dim), (x,)


def reshape(x: Any, *shape: Any) -> tuple[Layer, Arguments]:
    return Reshape(), (x, shape[0] if isinstance(shape[0], tuple | list) else shape)


def pad(x: Any, pad: Arguments, mode: str = "constant", value: float | None = None) -> tuple[Layer, Arguments]:
    if mode != "replicate" or len(pad) != 4:
        raise NoTwin(f"pad with mode={mode}")
    return RepeatEdges(), (x, pad)


def item(x: fx.Node, index: Any) -> tuple[Layer, Arguments]:
    """A part of an array; or of what nn.RNN returns, whose twin returns the states alone."""
    if isinstance(module_of(x), nn.RNN):
        if index != 0:
            raise NoTwin("the second output of an RNN")
        return twins.Identity(), (x,)
    return Slice(index), (x, index)


def module_of(node: fx.Node) -> nn.Module | None:
    """The torch layer that the node calls."""
    owner = node.graph.owning_module
    return owner.get_submodule(str(node.target)) if node.op == "call_module" and owner is not None else None


def simple(layer: type[Layer]) -> Callable[..., tuple[Layer, Arguments]]:
    return lambda x, inplace=False: (layer(), (x,))


FUNCTIONS: dict[Any, Callable[..., tuple[Layer, Arguments]]] = {
    **dict.fromkeys((operator.add, operator.iadd, torch.add, "add", "add_"), add),
    **dict.fromkeys((torch.cat, torch.concat), concatenate),
    **dict.fromkeys((torch.flatten, "flatten"), flatten),
    **dict.fromkeys((torch.reshape, "reshape", "view"), reshape),
    **dict.fromkeys((torch.relu, F.relu, "relu"), simple(twins.ReLU)),
    **dict.fromkeys((torch.tanh, "tanh"), simple(twins.Tanh)),
    **dict.fromkeys((torch.sigmoid, F.sigmoid, "sigmoid"), simple(twins.Sigmoid)),
    F.pad: pad,
    operator.getitem: item,
}
IN_PLACE = (operator.iadd, "add_")


def calculates_sizes(node: fx.Node, sizes: set[fx.Node]) -> bool:
    """Whether it makes whole numbers of an array's shape, as a net does that pads its input."""
    if node.op == "call_method":
        return bool(node.target == "size")
    asks = node.target is getattr and node.args[1:2] == ("shape",)
    return asks or (node.op == "call_function" and set(node.all_input_nodes) <= sizes)


def calculation_of(node: fx.Node) -> tuple[Layer, Arguments]:
    """The numbers' own arithmetic, or an array's shape."""
    function: Any = size if node.op == "call_method" else node.target
    return Calculation(function), node.args


def size(x: np.ndarray, dim: int | None = None) -> Any:
    return x.shape if dim is None else x.shape[dim]
