"""Values. Outputs and targets are (N, F) floats."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dlhw.metrics import ErrorMetrics
from dlhw.tasks.task import Split, Task, host

GRID = 101  # points a side of a decision surface


class Regression(Task):
    metric_names = ("loss", "mse", "mae")
    essence = "mse"

    def output_shape(self) -> tuple[int, ...]:
        return (self.dataset.out_features,)

    def metrics(self, device: torch.device) -> ErrorMetrics:
        return ErrorMetrics(device)

    def figures(self, kept: Tensor, split: Split) -> dict[str, Any]:
        return {}

    def baselines(self, train: Split, test: Split) -> dict[str, dict[str, float]]:
        """Always answering the mean of the training targets."""
        return {"mean_target": errors(train.targets.mean(0).expand_as(test.targets), test.targets)}

    def arrays(self, kept: Tensor, split: Split, model: nn.Module) -> dict[str, np.ndarray]:
        """Outputs beside targets; for two inputs and one output also the surface that the net has learnt."""
        targets = split.targets[: len(kept)]
        arrays = {"target_values": host(targets.flatten()), "output_values": host(kept.flatten().float())}
        if tuple(self.dataset.input_shape) == (2,) and kept.shape[1] == 1 and len(kept) <= 1000:
            points = torch.cat([inputs for inputs, _ in split.batches(len(split))])[: len(kept)]
            arrays |= surface(model, points)
            arrays |= {
                "points": host(points.float()),
                "point_targets": host(targets[:, 0].float()),
                "point_outputs": host(kept[:, 0].float()),
            }
        return arrays


@torch.no_grad()
def surface(model: nn.Module, points: Tensor) -> dict[str, np.ndarray]:
    """One output over a grid that holds the points with half their extent to spare."""
    low, high = points.amin(0), points.amax(0)
    margin = (high - low) / 2
    x, y = (
        torch.linspace(float(a), float(b), GRID, dtype=points.dtype, device=points.device)
        for a, b in zip(low - margin, high + margin, strict=True)
    )
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)
    values = model(grid).reshape(GRID, GRID)
    return {"surface_x": host(x), "surface_y": host(y), "surface_values": host(values.float())}


def errors(preds: Tensor, targets: Tensor) -> dict[str, float]:
    metrics = ErrorMetrics(targets.device)
    metrics.update(preds, targets)
    return metrics.figures(metrics.state().tolist())
