"""What the pictures of a net show of its inside: first-layer weights, what each filter makes of an image, activations.

Which of them there are follows from the layers that the model has, not from its name.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dlhw.summary import evaluating

BINS = 50
MOST_FILTERS = 64
ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.SiLU, nn.LogSigmoid, nn.GELU)


def first_layer(model: nn.Module, input_shape: Sequence[int]) -> np.ndarray | None:
    """(n, C, H, W): a convolution's kernels, or a linear layer's rows shaped as its images; None where neither fits."""
    layer = first_weighted(model)
    if isinstance(layer, nn.Conv2d) and max(layer.kernel_size) > 1:
        weights = layer.weight
    elif isinstance(layer, nn.Linear) and len(input_shape) == 3 and layer.in_features == int(np.prod(input_shape)):
        weights = layer.weight.view(-1, *input_shape)
    else:
        return None
    return array(weights[:MOST_FILTERS])


def filter_outputs(model: nn.Module, image: Tensor) -> np.ndarray | None:
    """(n, H', W'): what each first-layer filter makes of one input (1, C, H, W); None without a convolution first."""
    layer = first_weighted(model)
    if not isinstance(layer, nn.Conv2d) or image.ndim != 4 or layer.in_channels != image.shape[1]:
        return None  # the first by name may be another in the order of calls
    with torch.no_grad():
        return array(layer(image)[0, :MOST_FILTERS])


def first_weighted(model: nn.Module) -> nn.Module | None:
    return next((m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)), None)


@torch.no_grad()
def activation_histograms(model: nn.Module, inputs: Tensor) -> dict[str, np.ndarray]:
    """`names` (L,), `edges` (L, B+1) and `counts` (L, B) of each activation layer's outputs on a batch, in order.

    The model is in eval mode meanwhile, so that no statistic moves; a layer used several times counts each time.
    Values that are not finite are left out.
    """
    names: list[str] = []
    histograms: list[tuple[np.ndarray, np.ndarray]] = []

    def hook(name: str) -> Any:
        def record(module: nn.Module, args: Any, output: Tensor) -> None:
            names.append(f"{name} {type(module).__name__}".strip())
            histograms.append(histogram(array(output)))

        return record

    hooks = [m.register_forward_hook(hook(n)) for n, m in model.named_modules() if isinstance(m, ACTIVATIONS)]
    try:
        with evaluating(model):
            model(inputs)
    finally:
        for handle in hooks:
            handle.remove()
    if not histograms:
        return {}
    counts, edges = (np.stack(parts) for parts in zip(*histograms, strict=True))
    return {"names": np.array(names), "edges": edges, "counts": counts}


def histogram(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts and edges. In float64, since between two neighbours of float32 there is no room for so many bins."""
    finite = values[np.isfinite(values)].astype(np.float64)
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    margin = max(0.5, 0.01 * abs(low)) if low == high else 0.0
    return np.histogram(finite, BINS, (low - margin, high + margin))


def snapshot(model: nn.Module, inputs: Tensor, when: str) -> dict[str, np.ndarray]:
    """The views of the model at one moment ("before" or "after" training), as arrays.npz has them."""
    views = {}
    weights = first_layer(model, inputs.shape[1:])
    if weights is not None:
        views[f"first_layer_{when}"] = weights
    histograms = activation_histograms(model, inputs)
    if histograms:
        views["activation_names"] = histograms["names"]
        views[f"activation_edges_{when}"] = histograms["edges"]
        views[f"activation_counts_{when}"] = histograms["counts"]
    return views


def array(tensor: Tensor) -> np.ndarray:
    """A float32 copy on the host, so that it stays as it was while the net trains on."""
    return tensor.detach().to("cpu", torch.float32, copy=True).numpy()
