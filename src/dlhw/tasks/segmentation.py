"""A class for each pixel. Outputs are (N, K, H, W), targets (N, H, W) integers below K; class 0 is the background.

Pixel accuracy never stands alone: with 94% background it says nothing.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dlhw.metrics import ConfusionMetrics, confusion_matrix, segmentation_figures
from dlhw.tasks.task import Split, Task, host, spread

PARTS = 16  # in which the cells of all pixels are counted: at once they would take gigabytes


class Segmentation(Task):
    metric_names = ("loss", "miou", "dice", "pixel_accuracy")
    essence = "miou"

    @property
    def num_classes(self) -> int:
        return len(self.dataset.classes)

    def output_shape(self) -> tuple[int, ...]:
        return (self.num_classes, *self.dataset.input_shape[1:])

    def metrics(self, device: torch.device) -> ConfusionMetrics:
        return ConfusionMetrics(self.num_classes, device, lambda outputs: outputs.argmax(1), row_figures)

    def kept(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(1).to(torch.uint8)

    def confusion(self, preds: Tensor, split: Split) -> Tensor:
        """Over the whole split."""
        confusion = torch.zeros(self.num_classes, self.num_classes, dtype=torch.int64, device=preds.device)
        parts = zip(preds.tensor_split(PARTS), split.targets[: len(preds)].tensor_split(PARTS), strict=True)
        for part, targets in parts:
            confusion += confusion_matrix(part, targets, self.num_classes)
        return confusion

    def figures(self, kept: Tensor, split: Split) -> dict[str, Any]:
        return segmentation_figures(self.confusion(kept, split))

    def baselines(self, train: Split, test: Split) -> dict[str, dict[str, float]]:
        """All background; and each pixel above a brightness called the most frequent object, below it background.

        The brightness is the one of ten that does best on a part of the training split.
        """
        frequent = (
            int(torch.bincount(train.targets.flatten().cpu().long(), minlength=self.num_classes)[1:].argmax()) + 1
        )

        def score(split: Split, threshold: float, most: int) -> dict[str, float]:
            confusion = torch.zeros(self.num_classes, self.num_classes)
            done = 0
            for inputs, targets in split.batches(200):
                preds = (inputs.mean(1) > threshold) * frequent
                confusion += confusion_matrix(preds, targets, self.num_classes).cpu()
                done += len(targets)
                if done >= most:
                    break
            return row_figures(confusion)

        levels = [level / 10 for level in range(1, 10)]
        best = max(levels, key=lambda level: score(train, level, 400)["miou"])
        everything = len(test)
        return {
            "all_background": score(test, float("inf"), everything),
            "threshold": score(test, best, everything),
        }

    def arrays(self, kept: Tensor, split: Split, model: nn.Module) -> dict[str, np.ndarray]:
        indices = spread(len(kept), 8)
        confusion = self.confusion(kept, split)
        iou = segmentation_figures(confusion)["class_iou"]
        return {
            "classes": np.array(self.dataset.classes),
            "confusion": host(confusion),
            "iou": np.array([np.nan if value is None else value for value in iou]),
            "sample_images": split.raw(indices),
            "sample_masks": host(split.targets[indices]),
            "sample_mask_preds": host(kept[indices]),
        }


def row_figures(confusion: Tensor) -> dict[str, float]:
    figures = segmentation_figures(confusion)
    return {name: figures[name] for name in Segmentation.metric_names[1:]}
