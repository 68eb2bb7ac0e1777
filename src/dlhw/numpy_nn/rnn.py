"""Elman's recurrent net (1990)."""

import numpy as np

from dlhw.numpy_nn.layer import Array, Layer


class RNN(Layer):
    """x (N, T, F) -> the hidden states h (N, T, H); weight_ih_l0 (H, F), weight_hh_l0 (H, H), biases (H,).

    h_t = tanh(a_t), a_t = x_t W_ihᵀ + b_ih + h_(t-1) W_hhᵀ + b_hh, from h_0 = 0. Backpropagation through time: h_t
    is an output and an input of the next step, so from the last step to the first
    da_t = (dy_t + da_(t+1) W_hh) (1 - h_t²)    dx_t = da_t W_ih
    and, summed over time and samples,    dW_ih = Σ da_tᵀ x_t    dW_hh = Σ da_tᵀ h_(t-1)    db = Σ da_t
    """

    def __init__(
        self,
        weight_ih_l0: Array,
        weight_hh_l0: Array,
        bias_ih_l0: Array | None = None,
        bias_hh_l0: Array | None = None,
    ) -> None:
        biases = {"bias_ih_l0": bias_ih_l0, "bias_hh_l0": bias_hh_l0}
        super().__init__(weight_ih_l0=weight_ih_l0, weight_hh_l0=weight_hh_l0, **biases)
        self.biases = [name for name, bias in biases.items() if bias is not None]

    def forward(self, x: Array) -> Array:
        recurrent = self.params["weight_hh_l0"].T
        inputs = x @ self.params["weight_ih_l0"].T  # of all steps at once
        for name in self.biases:
            inputs += self.params[name]
        n, steps, hidden = inputs.shape
        self.x = x
        self.states = np.zeros((n, steps + 1, hidden), inputs.dtype)  # the first is h_0
        for t in range(steps):
            self.states[:, t + 1] = np.tanh(inputs[:, t] + self.states[:, t] @ recurrent)
        return self.states[:, 1:]

    def backward(self, dy: Array) -> Array:
        recurrent = self.params["weight_hh_l0"]
        slopes = 1 - self.states[:, 1:] ** 2
        da = np.empty_like(dy)
        later = np.zeros_like(dy[:, 0])  # what the next step hands back to h_t
        for t in reversed(range(dy.shape[1])):
            da[:, t] = (dy[:, t] + later) * slopes[:, t]
            later = da[:, t] @ recurrent
        rows = da.reshape(-1, len(recurrent))
        self.grads["weight_ih_l0"] = rows.T @ self.x.reshape(len(rows), -1)
        self.grads["weight_hh_l0"] = rows.T @ self.states[:, :-1].reshape(len(rows), -1)
        for name in self.biases:
            self.grads[name] = rows.sum(0)
        return da @ self.params["weight_ih_l0"]
