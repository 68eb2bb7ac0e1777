"""An image from its damaged copy. Outputs and targets are (N, C, H, W) floats; clean pixels lie in [0, 1]."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dlhw.metrics import PSNRMetrics, gaussian_filter, psnr, ssim
from dlhw.tasks.task import Split, Task, host, spread

PARTS = 16  # in which similarity is measured: it takes several filtered copies of each image


class Restoration(Task):
    metric_names = ("loss", "psnr")
    essence = "psnr"

    def output_shape(self) -> tuple[int, ...]:
        return tuple(self.dataset.input_shape)

    def metrics(self, device: torch.device) -> PSNRMetrics:
        return PSNRMetrics(device)

    def figures(self, kept: Tensor, split: Split) -> dict[str, Any]:
        clean = torch.cat([targets for _, targets in split.batches(1000)])[: len(kept)]
        return {"ssim": mean_ssim(kept, clean)}

    def baselines(self, train: Split, test: Split) -> dict[str, dict[str, float]]:
        """The noisy input as it is, and smoothed by a 3x3 Gaussian."""

        def score(restore: Callable[[Tensor], Tensor]) -> dict[str, float]:
            restored, clean = zip(*((restore(inputs), targets) for inputs, targets in test.batches(1000)), strict=True)
            outputs, targets = torch.cat(restored), torch.cat(clean)
            return {"psnr": float(psnr(outputs, targets).mean()), "ssim": mean_ssim(outputs, targets)}

        return {"noisy_input": score(lambda noisy: noisy), "gaussian_3x3": score(gaussian_filter)}

    def arrays(self, kept: Tensor, split: Split, model: nn.Module) -> dict[str, np.ndarray]:
        indices = spread(len(kept), 8)
        noisy, clean = (torch.cat(parts)[indices].float() for parts in zip(*split.batches(1000), strict=True))
        restored = kept[indices].float()
        return {
            "sample_noisy": host(noisy),
            "sample_clean": host(clean),
            "sample_restored": host(restored),
            "sample_psnr_noisy": host(psnr(noisy, clean)),
            "sample_psnr_restored": host(psnr(restored, clean)),
        }


def mean_ssim(outputs: Tensor, targets: Tensor) -> float:
    parts = [ssim(o, t) for o, t in zip(outputs.tensor_split(PARTS), targets.tensor_split(PARTS), strict=True)]
    return float(torch.cat(parts).double().mean())
