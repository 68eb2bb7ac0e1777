"""What a model consists of: its layers in the order in which they run, with shapes, parameters and FLOPs."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

MOST_ROWS = 60  # of a table; a net with more layers is folded


@dataclass
class LayerSummary:
    """One layer: a module without children, or one with parameters or arithmetic of its own beside its children's.

    A module that is called several times is one layer, where and as large as it was first, with the FLOPs of all
    calls. Parameters that layers share are the first one's.
    """

    name: str  # within the model, as in its state_dict; "" is the model itself
    type: str
    output_shape: tuple[int, ...] | None  # None: never called
    parameters: int
    trainable: int  # of them
    flops: int  # multiplications and additions of matrix products and convolutions in the forward pass


def summarize(model: nn.Module, sample: Tensor) -> list[LayerSummary]:
    """Run `sample`, a batch of one, through the model in evaluation mode; the layers in the order of their first call.

    Neither the model nor torch's random state is changed. Both have to be on the CPU for an RNN's FLOPs to be counted.
    """
    names = {module: name for name, module in model.named_modules()}
    rows: dict[nn.Module, LayerSummary] = {}
    running: list[LayerSummary] = []
    counter = flop_counter()
    counted = 0

    def count() -> None:
        """What was calculated since the last time belongs to the module that runs."""
        nonlocal counted
        total = counter.get_total_flops()
        if running:
            running[-1].flops += total - counted
        counted = total

    def before(module: nn.Module, _: Any) -> None:
        count()
        running.append(rows.setdefault(module, LayerSummary(names[module], type(module).__name__, None, 0, 0, 0)))

    def after(module: nn.Module, _: Any, output: Any) -> None:
        count()
        row = running.pop()
        row.output_shape = row.output_shape or first_shape(output)

    devices = [sample.device] if sample.device.type == "cuda" else []
    with ExitStack() as stack:
        for context in (evaluating(model), torch.no_grad(), torch.random.fork_rng(devices), counter):
            stack.enter_context(context)
        for module in names:
            stack.callback(module.register_forward_pre_hook(before).remove)
            stack.callback(module.register_forward_hook(after).remove)
        model(sample)

    seen: set[nn.Parameter] = set()
    for module, name in names.items():  # those that no call reached come last
        rows.setdefault(module, LayerSummary(name, type(module).__name__, None, 0, 0, 0))
    for module, row in rows.items():
        own = [p for p in module.parameters(recurse=False) if p not in seen]
        seen.update(own)
        row.parameters = sum(p.numel() for p in own)
        row.trainable = sum(p.numel() for p in own if p.requires_grad)
    return [row for module, row in rows.items() if is_layer(module, row)]


def is_layer(module: nn.Module, row: LayerSummary) -> bool:
    leaf = next(module.children(), None) is None
    return bool(row.parameters or row.flops) or (leaf and row.output_shape is not None)


def flop_counter() -> FlopCounterMode:
    """torch's, which does not know oneDNN's LSTM."""
    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.mkldnn_rnn_layer: onednn_rnn_flops})


def onednn_rnn_flops(inputs: Sequence[int], w_in: Sequence[int], w_hidden: Sequence[int], *_: Any, **__: Any) -> int:
    """One layer, one direction: inputs (T, N, features), every step two matrix products."""
    return 2 * inputs[0] * inputs[1] * (prod(w_in) + prod(w_hidden))


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """In evaluation mode; afterwards each module in the mode that it was in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def first_shape(output: Any) -> tuple[int, ...] | None:
    """Of the first tensor: an LSTM returns its outputs, then its states."""
    if isinstance(output, Tensor):
        return tuple(output.shape)
    values = output.values() if isinstance(output, dict) else output if isinstance(output, list | tuple) else ()
    return next((shape for shape in map(first_shape, values) if shape is not None), None)


def as_table(rows: Sequence[LayerSummary], most_rows: int = MOST_ROWS) -> str:
    """Aligned text, the last line the sums. A net of more than `most_rows` layers is folded by its modules' names."""
    cells = [("layer", "type", "output", "parameters", "FLOPs")]
    for row in fold(rows, most_rows):
        shape = "not called" if row.output_shape is None else " x ".join(map(str, row.output_shape[1:]))
        cells.append((row.name, row.type, shape, f"{row.parameters:,}", f"{row.flops:,}"))
    total, trainable = sum(row.parameters for row in rows), sum(row.trainable for row in rows)
    frozen = "" if trainable == total else f"{trainable:,} trainable"
    cells.append(("total", frozen, "", f"{total:,}", f"{sum(row.flops for row in rows):,}"))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    align = [str.ljust, str.ljust, str.ljust, str.rjust, str.rjust]
    lines = [
        "  ".join(put(cell, width) for put, cell, width in zip(align, line, widths, strict=True)) for line in cells
    ]
    return "\n".join(line.rstrip() for line in lines)


def fold(rows: Sequence[LayerSummary], most_rows: int) -> Sequence[LayerSummary]:
    """Rows summed over the modules at the greatest depth that leaves no more than `most_rows` of them."""
    deepest = max((row.name.count(".") + 1 for row in rows), default=1)
    for depth in range(deepest, 0, -1):
        groups: dict[str, list[LayerSummary]] = {}
        for row in rows:
            groups.setdefault(".".join(row.name.split(".")[:depth]), []).append(row)
        if len(groups) <= most_rows:
            break
    return [folded(name, group) for name, group in groups.items()]


def folded(name: str, group: Sequence[LayerSummary]) -> LayerSummary:
    if len(group) == 1:
        return group[0]
    shapes = [row.output_shape for row in group if row.output_shape is not None]
    return LayerSummary(
        name,
        f"{len(group)} layers",
        shapes[-1] if shapes else None,
        sum(row.parameters for row in group),
        sum(row.trainable for row in group),
        sum(row.flops for row in group),
    )
