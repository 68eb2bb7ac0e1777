"""One class a sample. Outputs are (N, K), or what the loss says; targets (N,) integers below K."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dlhw.metrics import ConfusionMetrics, classification_figures, confusion_matrix
from dlhw.tasks.task import SAMPLES, Split, Task, host, spread


class Classification(Task):
    metric_names = ("loss", "accuracy")
    essence = "accuracy"

    @property
    def num_classes(self) -> int:
        return len(self.dataset.classes)

    def output_shape(self) -> tuple[int, ...]:
        told = getattr(self.loss_fn, "output_shape", None)
        return told(self.num_classes) if told else (self.num_classes,)

    def predict(self, outputs: Tensor) -> Tensor:
        """(N,) classes. A loss that encodes classes in its own way also decodes them."""
        told = getattr(self.loss_fn, "predict", None)
        return told(outputs, self.num_classes) if told else outputs.argmax(1)

    def metrics(self, device: torch.device) -> ConfusionMetrics:
        return ConfusionMetrics(self.num_classes, device, self.predict, accuracy)

    def figures(self, kept: Tensor, split: Split) -> dict[str, Any]:
        confusion = confusion_matrix(self.predict(kept), split.targets[: len(kept)], self.num_classes)
        return classification_figures(confusion)

    def baselines(self, train: Split, test: Split) -> dict[str, dict[str, float]]:
        """Guessing the training split's most frequent class."""
        counts = torch.bincount(train.targets.cpu(), minlength=self.num_classes)
        hits = (test.targets.cpu() == counts.argmax()).double().mean()
        return {"majority_class": {"accuracy": float(hits)}}

    def arrays(self, kept: Tensor, split: Split, model: nn.Module) -> dict[str, np.ndarray]:
        """Confusion matrix, a spread of predictions, and the mistakes of highest probability.

        Where one output stands for the class there are no probabilities (nan), and mistakes come furthest off first.
        """
        kept, targets = kept.float(), split.targets[: len(kept)]
        preds = self.predict(kept)
        if kept.shape[1] > 1:
            certain = probs = kept.softmax(1).amax(1)
        else:
            certain, probs = (kept.squeeze(1) - targets).abs(), torch.full_like(kept.squeeze(1), float("nan"))
        wrong = (preds != targets).nonzero().flatten()
        mistakes = wrong[certain[wrong].argsort(descending=True, stable=True)][:SAMPLES].tolist()
        arrays = {
            "classes": np.array(self.dataset.classes),
            "confusion": host(confusion_matrix(preds, targets, self.num_classes)),
            "test_preds": host(preds),
            "test_targets": host(targets),
        }
        if len(self.dataset.input_shape) == 3:
            for name, indices in (("sample", spread(len(preds))), ("mistake", mistakes)):
                arrays[f"{name}_images"] = split.raw(indices)
                arrays[f"{name}_targets"] = host(targets[indices])
                arrays[f"{name}_preds"] = host(preds[indices])
                arrays[f"{name}_probs"] = host(probs[indices])
        return arrays


def accuracy(confusion: Tensor) -> dict[str, float]:
    return {"accuracy": float(confusion.diagonal().sum() / confusion.sum())}
