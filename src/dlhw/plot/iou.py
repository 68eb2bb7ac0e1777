"""How well each class's pixels are found."""

import numpy as np
from matplotlib.figure import Figure

from dlhw.plot.class_bars import ClassBars, draw_class_bars
from dlhw.plot.run_folder import RunFolder


def draw_iou(run: RunFolder) -> Figure | None:
    """Of classes in neither truth nor prediction the IoU is NaN; the mean leaves them out."""
    iou = run.arrays.get("iou")
    if iou is None or iou.ndim != 1 or not np.isfinite(iou).any():
        return None
    iou = iou.astype(float)
    mean = float(np.nanmean(iou))
    bars = ClassBars(
        title="IoU of each class",
        across="Pixels in both truth and prediction, of those in either (%)",
        down="Class",
        names=run.class_names(len(iou)),
        shares=iou,
        said=[f"{100 * value:.1f}%" if np.isfinite(value) else "in no image" for value in iou],
        overall=mean,
        caption=f"test, {run.weights}; dashed line: mean over the classes, {mean:.2%}",
    )
    return draw_class_bars(bars, run.name)
