"""Metrics: accumulated on the device, fetched once with the losses, finished on the host."""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


class Metrics(Protocol):
    """`update` never waits for the device; `state` is a vector there, from which `figures` finishes on the host.

    `load_state` goes on from such a vector.
    """

    def update(self, outputs: Tensor, targets: Tensor) -> None: ...
    def state(self) -> Tensor: ...
    def load_state(self, state: Tensor) -> None: ...
    def figures(self, state: list[float]) -> dict[str, float]: ...


def confusion_matrix(preds: Tensor, targets: Tensor, num_classes: int) -> Tensor:
    """(K, K) counts, on the device, of two integer tensors of one shape: rows are true classes, columns predicted."""
    cells = (targets.long() * num_classes + preds).flatten()
    # index_add_ rather than bincount, for which the host waits to learn the length
    flat = torch.zeros(num_classes * num_classes, dtype=torch.int64, device=cells.device)
    return flat.index_add_(0, cells, torch.ones_like(cells)).view(num_classes, num_classes)


class ConfusionMetrics:
    """All that follows from one confusion matrix over any number of batches.

    `update` keeps references and reduces them in one go once they hold `PENDING_VALUES`, so that a step of a small net
    pays next to nothing for being measured.
    """

    PENDING_VALUES = 2**16

    def __init__(
        self,
        num_classes: int,
        device: torch.device,
        predict: Callable[[Tensor], Tensor],
        finish: Callable[[Tensor], dict[str, float]],
    ) -> None:
        """predict: from raw outputs to classes of the targets' shape; finish: from a (K, K) matrix to figures."""
        self.num_classes = num_classes
        self.predict = predict
        self.finish = finish
        self._confusion = torch.zeros(num_classes, num_classes, dtype=torch.int64, device=device)
        self._pending: list[tuple[Tensor, Tensor]] = []
        self._values = 0

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """outputs: raw and detached."""
        self._pending.append((outputs, targets))
        self._values += outputs.numel()
        if self._values >= self.PENDING_VALUES:
            self._reduce()

    def _reduce(self) -> None:
        if self._pending:
            outputs, targets = (torch.cat(tensors) for tensors in zip(*self._pending, strict=True))
            self._confusion += confusion_matrix(self.predict(outputs), targets, self.num_classes)
            self._pending.clear()
            self._values = 0

    @property
    def confusion(self) -> Tensor:
        """(K, K) on the device, as `confusion_matrix` has it."""
        self._reduce()
        return self._confusion

    def state(self) -> Tensor:
        return self.confusion.flatten()

    def load_state(self, state: Tensor) -> None:
        self._confusion = state.view(self.num_classes, self.num_classes)

    def figures(self, state: list[float]) -> dict[str, float]:
        return self.finish(torch.tensor(state, dtype=torch.float64).view(self.num_classes, self.num_classes))


class ErrorMetrics:
    """Mean squared and mean absolute error over all values."""

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(3, dtype=wide(device), device=device)

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        error = (outputs - targets).to(self._sums.dtype)
        count = torch.full((), error.numel(), dtype=error.dtype, device=error.device)
        self._sums += torch.stack([error.square().sum(), error.abs().sum(), count])

    def state(self) -> Tensor:
        return self._sums

    def load_state(self, state: Tensor) -> None:
        self._sums = state

    def figures(self, state: list[float]) -> dict[str, float]:
        squares, absolutes, count = state
        return {"mse": squares / count, "mae": absolutes / count}


class PSNRMetrics:
    """Peak signal-to-noise ratio, in dB, averaged over images."""

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(2, dtype=wide(device), device=device)

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        ratios = psnr(outputs, targets)
        count = torch.full((), len(ratios), dtype=self._sums.dtype, device=ratios.device)
        self._sums += torch.stack([ratios.to(self._sums.dtype).sum(), count])

    def state(self) -> Tensor:
        return self._sums

    def load_state(self, state: Tensor) -> None:
        self._sums = state

    def figures(self, state: list[float]) -> dict[str, float]:
        return {"psnr": state[0] / state[1]}


def wide(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64  # Metal has no float64


def classification_figures(confusion: Tensor) -> dict[str, Any]:
    """Final figures of a (K, K) confusion matrix: accuracy, macro F1, and class_accuracy, each class's recall.

    As in scikit-learn, a class that is neither present nor predicted does not enter macro F1, and one that is absent
    has no accuracy (None).
    """
    hits, true, predicted = hits_and_totals(confusion)
    seen = (true + predicted) > 0
    f1 = 2 * hits[seen] / (true + predicted)[seen]
    return {
        "accuracy": float(hits.sum() / true.sum()),
        "macro_f1": float(f1.mean()),
        "class_accuracy": [float(h / t) if t else None for h, t in zip(hits, true, strict=True)],
    }


def segmentation_figures(confusion: Tensor) -> dict[str, Any]:
    """Final figures of a (K, K) confusion matrix of pixels: mIoU, Dice without background, pixel accuracy, class_iou.

    A class that is neither present nor predicted counts in no mean and has no IoU (None).
    """
    hits, true, predicted = hits_and_totals(confusion)
    sizes = true + predicted
    seen = sizes > 0
    iou = hits / (sizes - hits).clamp(min=1)
    dice = 2 * hits / sizes.clamp(min=1)
    objects = seen.clone()
    objects[0] = False
    return {
        "miou": float(iou[seen].mean()),
        "dice": float(dice[objects].mean()) if objects.any() else 0.0,
        "pixel_accuracy": float(hits.sum() / true.sum()),
        "class_iou": [float(value) if there else None for value, there in zip(iou, seen, strict=True)],
    }


def hits_and_totals(confusion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The diagonal, each class's true count and its predicted count, (K,) float64 on the host."""
    counts = confusion.cpu().double()
    return counts.diagonal(), counts.sum(1), counts.sum(0)


def psnr(outputs: Tensor, targets: Tensor) -> Tensor:
    """(N,) dB of images (N, C, H, W) whose peak is 1; outputs are clipped to [0, 1] first, as an image would be."""
    error = (outputs.detach().clamp(0, 1) - targets).square().flatten(1).mean(1)
    return -10 * torch.log10(error.clamp(min=1e-10))


def gaussian_window(size: int, sigma: float, like: Tensor) -> Tensor:
    """(C, 1, size, size): one normalised window a channel, for a grouped convolution."""
    offsets = torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2
    line = torch.exp(-(offsets**2) / (2 * sigma**2))
    window = torch.outer(line, line)
    return (window / window.sum()).expand(like.shape[1], 1, size, size)


def gaussian_filter(images: Tensor, size: int = 3, sigma: float = 1.0) -> Tensor:
    """Images (N, C, H, W) smoothed, the border reflected."""
    padded = F.pad(images, [size // 2] * 4, mode="reflect")
    return F.conv2d(padded, gaussian_window(size, sigma, images), groups=images.shape[1])


def ssim(outputs: Tensor, targets: Tensor) -> Tensor:
    """(N,) structural similarity (Wang et al., 2004) of images in [0, 1]: 11x11 Gaussian windows of sigma 1.5.

    In a smaller image the window is as large as its smaller side. Outputs are clipped to [0, 1] first. The mean is
    over the windows that lie wholly inside the image.
    """
    x, y = outputs.clamp(0, 1).double(), targets.double()
    window = gaussian_window(min(11, *x.shape[2:]), 1.5, x)

    def mean(images: Tensor) -> Tensor:
        return F.conv2d(images, window, groups=x.shape[1])

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return similarity.flatten(1).mean(1)
