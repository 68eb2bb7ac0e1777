"""Layers one after another."""

from collections.abc import Sequence

from dlhw.numpy_nn.layer import Array, Layer


class Sequential(Layer):
    """y = layer_n(... layer_1(x)); by the chain rule dx = backward_1(... backward_n(dy)).

    Parameters and gradients are named as torch's Sequential names them: 0.weight, 0.bias, 2.weight.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.layers = list(layers)
        self.params = {f"{i}.{name}": value for i, layer in enumerate(layers) for name, value in layer.params.items()}

    def forward(self, x: Array) -> Array:
        for layer in self.layers:
            layer.training = self.training
            x = layer.forward(x)
        return x

    def backward(self, dy: Array) -> Array:
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        self.grads = {f"{i}.{name}": g for i, layer in enumerate(self.layers) for name, g in layer.grads.items()}
        return dy
