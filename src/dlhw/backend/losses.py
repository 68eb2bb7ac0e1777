"""Which numpy_nn loss stands for which of ours and torch's."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from dlhw import numpy_nn as twins
from dlhw.backend.layers import NoTwin, array, only
from dlhw.loss.mse import MSE
from dlhw.loss.rounded_mse import RoundedMSE


class RoundedMSETwin(twins.MSELoss):
    """Between outputs (N, 1) and class numbers (N,)."""

    def forward(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        return super().forward(outputs, targets[:, None].astype(outputs.dtype))


def loss_of(loss_fn: nn.Module) -> Any:
    """Raises NoTwin."""
    if type(loss_fn) not in LOSSES:
        raise NoTwin(type(loss_fn).__name__)
    return LOSSES[type(loss_fn)](loss_fn)


def cross_entropy(loss_fn: nn.CrossEntropyLoss) -> Any:
    only(loss_fn, ignore_index=-100, reduction="mean")
    return twins.CrossEntropyLoss(array(loss_fn.weight), loss_fn.label_smoothing)


def multi_margin(loss_fn: nn.MultiMarginLoss) -> Any:
    only(loss_fn, weight=None, reduction="mean")
    return twins.MultiMarginLoss(1 if loss_fn.p == 1 else 2, loss_fn.margin)


LOSSES: dict[type[nn.Module], Callable[[Any], Any]] = {
    nn.CrossEntropyLoss: cross_entropy,
    MSE: lambda loss_fn: twins.MSELoss(loss_fn.reduction),
    nn.MultiMarginLoss: multi_margin,
    RoundedMSE: lambda loss_fn: RoundedMSETwin(),
}
