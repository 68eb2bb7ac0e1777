"""Classification as regression: one output, whose nearest whole number is the class (report 002)."""

from torch import Tensor, nn
from torch.nn import functional as F


class RoundedMSE(nn.Module):
    """Mean squared error between outputs (N, 1) and the class numbers (N,); `predict` rounds to a class below K."""

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.mse_loss(outputs.squeeze(1), targets.to(outputs.dtype))

    def output_shape(self, num_classes: int) -> tuple[int, ...]:
        """Of one sample's raw outputs; other losses want one for each class."""
        return (1,)

    def predict(self, outputs: Tensor, num_classes: int) -> Tensor:
        """(N,) integers from raw outputs (N, 1)."""
        return outputs.squeeze(1).round().clamp(0, num_classes - 1).long()
