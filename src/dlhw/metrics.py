"""Metrics: accumulated on the device and fetched once."""

from typing import Any

import torch
from torch import Tensor


def confusion_matrix(preds: Tensor, targets: Tensor, num_classes: int) -> Tensor:
    """(K, K) counts on the device of (N,) integers: rows are true classes, columns predicted ones."""
    cells = targets * num_classes + preds
    # index_add_ rather than bincount, for which the host waits to learn the length
    flat = torch.zeros(num_classes * num_classes, dtype=torch.int64, device=preds.device)
    return flat.index_add_(0, cells, torch.ones_like(cells)).view(num_classes, num_classes)


class ConfusionMetrics:
    """Accuracy from one confusion matrix over any number of batches.

    `update` keeps references and every `CHUNK` batches reduces them in one go, so that a step of a small net pays next
    to nothing for being measured.
    """

    CHUNK = 64

    def __init__(self, num_classes: int, device: torch.device) -> None:
        self.num_classes = num_classes
        self._confusion = torch.zeros(num_classes, num_classes, dtype=torch.int64, device=device)
        self._pending: list[tuple[Tensor, Tensor]] = []

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """outputs: (N, K), detached; targets: (N,) integers."""
        self._pending.append((outputs, targets))
        if len(self._pending) == self.CHUNK:
            self._reduce()

    def _reduce(self) -> None:
        if self._pending:
            outputs, targets = (torch.cat(tensors) for tensors in zip(*self._pending, strict=True))
            self._confusion += confusion_matrix(outputs.argmax(1), targets, self.num_classes)
            self._pending.clear()

    @property
    def confusion(self) -> Tensor:
        """(K, K) on the device, as `confusion_matrix` has it."""
        self._reduce()
        return self._confusion

    def compute(self) -> dict[str, Tensor]:
        """The metrics of a row, each a pair of integers on the device: a sum, and the count that divides it."""
        return {"accuracy": torch.stack([self.confusion.diagonal().sum(), self.confusion.sum()])}


def classification_figures(confusion: Tensor) -> dict[str, Any]:
    """Final figures of a (K, K) confusion matrix: accuracy, macro F1, and class_accuracy, each class's recall.

    As in scikit-learn, a class that is neither present nor predicted does not enter macro F1, and one that is absent
    has no accuracy (None).
    """
    counts = confusion.cpu().double()
    hits, true, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    seen = (true + predicted) > 0
    f1 = 2 * hits[seen] / (true + predicted)[seen]
    return {
        "accuracy": float(hits.sum() / counts.sum()),
        "macro_f1": float(f1.mean()),
        "class_accuracy": [float(h / t) if t else None for h, t in zip(hits, true, strict=True)],
    }
