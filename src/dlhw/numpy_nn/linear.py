"""The affine layer."""

from dlhw.numpy_nn.layer import Array, Layer


class Linear(Layer):
    """x (N, ..., in) -> y (N, ..., out), with weight W (out, in) and bias b (out,).

    y = x Wᵀ + b, hence    dW = dyᵀ x    db = sum of dy over the samples    dx = dy W
    """

    def __init__(self, weight: Array, bias: Array | None = None) -> None:
        super().__init__(weight=weight, bias=bias)

    def forward(self, x: Array) -> Array:
        self.x = x
        y = x @ self.params["weight"].T
        if "bias" in self.params:
            y += self.params["bias"]
        return y

    def backward(self, dy: Array) -> Array:
        weight = self.params["weight"]
        rows = dy.reshape(-1, len(weight))
        self.grads["weight"] = rows.T @ self.x.reshape(len(rows), -1)
        if "bias" in self.params:
            self.grads["bias"] = rows.sum(0)
        return dy @ weight
