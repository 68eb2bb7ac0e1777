"""The next value of a sequence. Inputs are windows (N, T, F), outputs and targets (N, F) floats."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dlhw.tasks.regression import Regression, errors
from dlhw.tasks.task import Split, host


class Sequence(Regression):
    def baselines(self, train: Split, test: Split) -> dict[str, dict[str, float]]:
        """Persistence: the last value of the window again."""
        inputs, targets = (torch.cat(parts) for parts in zip(*test.batches(len(test)), strict=True))
        return {"persistence": errors(inputs[:, -1], targets)}

    def arrays(self, kept: Tensor, split: Any, model: nn.Module) -> dict[str, np.ndarray]:
        """One-step predictions, and a free-running continuation from the split's first window, beside the truth."""
        truth, clean = split.sequence()
        window = len(truth) - len(split)
        unknown = np.full(window, np.nan, dtype=np.float32)
        ahead = len(kept)
        first = torch.cat([inputs for inputs, _ in split.batches(len(split))])[:1]
        free = free_running(model, first, ahead)
        return {
            "sequence_truth": host(truth[: window + ahead].float()),
            "sequence_clean": host(clean[: window + ahead].float()),
            "sequence_one_step": np.concatenate([unknown, host(kept[:, 0].float())]),
            "sequence_free_running": np.concatenate([unknown, host(free.float())]),
            "sequence_start": np.array(window),
        }


@torch.no_grad()
def free_running(model: nn.Module, window: Tensor, steps: int) -> Tensor:
    """(steps,) values, each predicted from a window (1, T, 1) that ends with the predictions before it."""
    values = []
    for _ in range(steps):
        value = model(window)
        window = torch.cat([window[:, 1:], value[:, None]], dim=1)
        values.append(value[0, 0])
    return torch.stack(values)
