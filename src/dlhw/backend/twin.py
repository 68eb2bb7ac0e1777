"""The twin of a torch module: its graph, as torch.fx traces it, with a numpy_nn layer for each of its nodes.

A model is written once, in torch. Parameters and buffers are shared memory, so the module's state_dict is the twin's.
"""

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.fx.node import map_arg

from dlhw.backend.functions import IN_PLACE, calculates_sizes, calculation_of, function_of, module_of
from dlhw.backend.layers import LAYERS, NoTwin, layer_of
from dlhw.errors import UserError, first_line
from dlhw.numpy_nn import Dropout, Layer


@dataclass
class Step:
    """A node of the graph. args: of the layer's forward; nodes among them stand for their values."""

    node: fx.Node
    layer: Layer
    args: tuple[Any, ...]
    module: nn.Module | None = None  # the torch layer, where the node is one
    learns: bool = False  # its parameters learn, or those of a layer before it


class Net:
    """The twin. backward belongs to the forward before it that kept what backward needs.

    A layer trains when its torch layer does, so a frozen part stays in evaluation mode.
    """

    def __init__(self, module: nn.Module) -> None:
        """Raises UserError for what has no twin. The module has to be on the CPU, and in its dtype, by now."""
        graph = traced(module)
        self.input, self.output = graph.find_nodes(op="placeholder")[0], graph.output_node().args[0]
        self.steps = steps_of(graph, type(module).__name__)
        self.names = {parameter: name for name, parameter in module.named_parameters()}
        self.calls = 0
        self.dropouts = [step.layer for step in self.steps if isinstance(step.layer, Dropout)]

    def forward(self, x: np.ndarray, keep: bool = True) -> np.ndarray:
        """keep: what backward needs, which is many times the outputs' memory."""
        self.calls += keep
        values: dict[Any, Any] = {self.input: x}
        for step in self.steps:
            layer = step.layer if keep else copy(step.layer)  # a copy takes with it what forward keeps
            if step.module is not None:
                layer.training = step.module.training
            values[step.node] = layer.forward(*map_arg(step.args, values.__getitem__))
            show(step, values)
        y: np.ndarray = values[self.output]
        return y

    def backward(self, dy: np.ndarray) -> dict[str, np.ndarray]:
        """The gradients of the parameters that learn, by their names in the module."""
        gradients: dict[str, np.ndarray] = {}
        dvalues = {self.output: dy}
        for step in reversed(self.steps):
            if not step.learns or step.node not in dvalues:
                continue
            dx = step.layer.backward(dvalues.pop(step.node))
            for arg, part in zip(step.args, dx if isinstance(dx, tuple) else (dx,), strict=False):
                add(dvalues, arg, part)
            for name, gradient in step.layer.grads.items():
                add(gradients, self.names[getattr(step.module, name)], gradient)
        return gradients

    def seed_dropout(self, seed: int) -> None:
        generator = np.random.default_rng(seed)
        for layer in self.dropouts:
            layer.rng = generator


def add(sums: dict[Any, np.ndarray], key: Any, value: np.ndarray) -> None:
    """Never in place: a layer may have handed the same array to several."""
    sums[key] = sums[key] + value if key in sums else value


def show(step: Step, values: dict[Any, Any]) -> None:
    """Let the torch layer's forward hooks see the twin's outputs, so that pictures of activations are the twin's."""
    hooks = list(step.module._forward_hooks.values()) if step.module is not None else []
    for hook in hooks:
        inputs = tuple(torch.from_numpy(values[node]) for node in step.node.all_input_nodes)
        hook(step.module, inputs, torch.from_numpy(values[step.node]))


class Tracer(fx.Tracer):
    """A layer that has a twin is one node, whoever wrote it."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in LAYERS or super().is_leaf_module(m, module_qualified_name)


def traced(module: nn.Module) -> fx.Graph:
    """The graph, without what nobody uses (an RNN's last state, say). Raises UserError."""
    name = type(module).__name__
    try:
        graph = fx.GraphModule(module, Tracer().trace(module)).graph
    except Exception as error:  # of many kinds: a forward may do what cannot be followed without values
        raise UserError(
            f"backend=numpy: torch.fx cannot trace {name}: {first_line(error)}; use backend=torch"
        ) from error
    graph.eliminate_dead_code()
    if len(graph.find_nodes(op="placeholder")) != 1 or not isinstance(graph.output_node().args[0], fx.Node):
        raise UserError(f"backend=numpy: {name} does not take one tensor and return one; use backend=torch")
    return graph


def steps_of(graph: fx.Graph, name: str) -> list[Step]:
    """Every node between input and output. Raises UserError for one that has no twin. name: of the model's class."""
    steps: dict[fx.Node, Step] = {}
    sizes: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op in ("placeholder", "output"):
            continue
        try:
            step = steps[node] = step_of(node, sizes)
        except NoTwin as error:
            where = f" at {node.target}" if node.op == "call_module" else ""
            raise UserError(
                f"backend=numpy: {name} has {error}{where}, which has no NumPy twin; use backend=torch"
            ) from None
        own = step.module is not None and any(p.requires_grad for p in step.module.parameters())
        before = any(other in steps and steps[other].learns for other in node.all_input_nodes)
        step.learns = own or (before and node not in sizes)
    return list(steps.values())


def step_of(node: fx.Node, sizes: set[fx.Node]) -> Step:
    """Raises NoTwin. sizes: the nodes that are whole numbers; one more of them is added."""
    if node.op == "get_attr":
        raise NoTwin(f"{node.target} outside of a layer")
    if calculates_sizes(node, sizes):
        sizes.add(node)
        return Step(node, *calculation_of(node))
    module = module_of(node)
    refuse_in_place(node, module)
    if module is not None:
        return Step(node, layer_of(module), node.args, module)
    return Step(node, *function_of(node))


def refuse_in_place(node: fx.Node, module: nn.Module | None) -> None:
    """The twin changes nothing in place, which differs where the changed array is read again later."""
    asked = node.kwargs.get("inplace") if module is None else getattr(module, "inplace", False)
    in_place = asked or node.target in IN_PLACE
    if in_place and any(user > node for user in node.all_input_nodes[0].users):
        raise NoTwin(f"{node.name} in place on what is read again")
