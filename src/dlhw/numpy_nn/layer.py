"""What every layer is: forward, backward, its parameters and their gradients."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating[Any]]
Targets: TypeAlias = npt.NDArray[Any]  # integer classes, or values
Rng: TypeAlias = np.random.Generator


class Layer:
    """y = forward(x); dx = backward(dy), where dy is the loss's gradient with respect to y, and dx to x.

    `params` holds the layer's arrays under torch's names, `grads` the gradients that the last backward assigned under
    the same names. forward keeps on self what backward needs. Neither changes its argument, and dtypes follow it.
    """

    training = True  # batch norm and dropout behave otherwise in evaluation

    def __init__(self, **params: Array | None) -> None:
        self.params = {name: value for name, value in params.items() if value is not None}
        self.grads: dict[str, Array] = {}

    def forward(self, x: Array, /) -> Array:
        raise NotImplementedError

    def backward(self, dy: Array, /) -> Any:
        """dx; of a layer with several inputs a tuple of them."""
        raise NotImplementedError
