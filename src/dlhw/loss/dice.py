"""Soft Dice loss for segmentation (Milletari et al., 2016)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Dice(nn.Module):
    """One minus the mean Dice of the classes, between softmax and one-hot, each class summed over the whole batch.

    Takes raw outputs (N, K, ...) and integer targets (N, ...). A class that is absent from the batch's targets does
    not count, nor does the background (class 0) unless `background`. `cross_entropy` adds that share of cross entropy,
    which steadies the start.
    """

    def __init__(self, background: bool = False, cross_entropy: float = 0.5, smooth: float = 1.0) -> None:
        super().__init__()
        if not 0 <= cross_entropy <= 1:
            raise ValueError(f"cross_entropy={cross_entropy}: must be from 0 to 1")
        if smooth <= 0:
            raise ValueError(f"smooth={smooth}: must be above 0")
        self.background, self.cross_entropy, self.smooth = background, cross_entropy, smooth

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        classes = outputs.shape[1]
        probs = outputs.softmax(1).transpose(0, 1).reshape(classes, -1)
        one_hot = F.one_hot(targets.reshape(-1), classes).T.to(probs.dtype)
        overlap, sizes, present = (probs * one_hot).sum(1), probs.sum(1) + one_hot.sum(1), one_hot.sum(1) > 0
        dice = (2 * overlap + self.smooth) / (sizes + self.smooth)
        counted = present if self.background else present & (torch.arange(classes, device=outputs.device) > 0)
        loss = 1 - (dice * counted).sum() / counted.sum().clamp(min=1)
        if self.cross_entropy:
            loss = (1 - self.cross_entropy) * loss + self.cross_entropy * F.cross_entropy(outputs, targets)
        return loss
