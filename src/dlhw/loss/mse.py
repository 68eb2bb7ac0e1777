"""Mean squared error, for classes and for values."""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F


class MSE(nn.Module):
    """For integer targets (N,): between softmax of raw outputs (N, K) and one-hot, as report 004 has it.

    For floating targets: between outputs and targets of one shape, as torch has it. `reduction` as torch has it.
    """

    def __init__(self, reduction: Literal["mean", "sum"] = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if targets.is_floating_point():
            return F.mse_loss(outputs, targets, reduction=self.reduction)
        probs = outputs.softmax(1)
        one_hot = F.one_hot(targets, outputs.shape[1]).to(probs.dtype)
        return F.mse_loss(probs, one_hot, reduction=self.reduction)
