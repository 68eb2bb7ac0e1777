"""What a task asks of a run: its metrics, final figures, trivial baselines and the arrays that its plots need.

A data set states its task; the trainer and the run follow what stands here without asking which task it is.
"""

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from dlhw.metrics import ConfusionMetrics, classification_figures, confusion_matrix


class LabelledImages(Protocol):
    """What is needed of a split here; see dataset/batches.py."""

    targets: Tensor

    def __len__(self) -> int: ...
    def raw(self, indices: list[int]) -> np.ndarray: ...


class Classification:
    """One class an image. Outputs are (N, K), targets (N,) integers below K."""

    metric_names = ("loss", "accuracy")
    SAMPLES = 32  # images in the grids of predictions and of mistakes

    def __init__(self, classes: list[str]) -> None:
        self.classes = classes

    def metrics(self, device: torch.device) -> ConfusionMetrics:
        return ConfusionMetrics(len(self.classes), device)

    def output_shape(self) -> tuple[int, ...]:
        """The shape of one sample's raw outputs."""
        return (len(self.classes),)

    def figures(self, outputs: Tensor, targets: Tensor) -> dict[str, Any]:
        return classification_figures(confusion_matrix(outputs.argmax(1), targets, len(self.classes)))

    def baselines(self, train: LabelledImages, test: LabelledImages) -> dict[str, dict[str, float]]:
        """What a guess of the training split's most frequent class scores on the test split."""
        counts = torch.bincount(train.targets.cpu(), minlength=len(self.classes))
        hits = (test.targets.cpu() == counts.argmax()).double().mean()
        return {"majority_class": {"accuracy": float(hits)}}

    def arrays(self, outputs: Tensor, split: LabelledImages) -> dict[str, np.ndarray]:
        """Confusion matrix, a fixed sample of predictions, and the most confident mistakes (probability first)."""
        outputs = outputs.float()
        targets = split.targets[: len(outputs)]
        probs, preds = outputs.softmax(1).max(1)
        # evenly spread over the split: the same images for every run, whatever their order in the files
        samples = torch.linspace(0, len(preds) - 1, min(self.SAMPLES, len(preds)), device=preds.device).long()
        wrong = (preds != targets).nonzero().flatten()
        mistakes = wrong[probs[wrong].argsort(descending=True, stable=True)][: self.SAMPLES]
        arrays = {
            "classes": np.array(self.classes),
            "confusion": confusion_matrix(preds, targets, len(self.classes)).cpu().numpy(),
            "test_preds": preds.cpu().numpy(),
            "test_targets": targets.cpu().numpy(),
        }
        for name, indices in (("sample", samples), ("mistake", mistakes)):
            arrays[f"{name}_images"] = split.raw(indices.tolist())
            arrays[f"{name}_targets"] = targets[indices].cpu().numpy()
            arrays[f"{name}_preds"] = preds[indices].cpu().numpy()
            arrays[f"{name}_probs"] = probs[indices].cpu().numpy()
        return arrays


TASKS = {"classification": Classification}
