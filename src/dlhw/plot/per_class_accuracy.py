"""How well each class is recognised."""

import numpy as np
from matplotlib.figure import Figure

from dlhw.plot.class_bars import ClassBars, draw_class_bars
from dlhw.plot.confusion_matrix import confusion_counts, row_shares, short_count
from dlhw.plot.run_folder import RunFolder


def draw_per_class_accuracy(run: RunFolder) -> Figure | None:
    counts = confusion_counts(run)
    if counts is None:
        return None
    totals, accuracy = counts.sum(axis=1), np.diag(row_shares(counts))
    overall = np.trace(counts) / counts.sum()
    pixels = run.counts_pixels
    number = (lambda count: short_count(int(count))) if pixels else "{:,}".format
    bars = ClassBars(
        title="Accuracy of each class",
        across=f"Recognised among the class's own {'pixels' if pixels else 'examples'} (%)",
        down="True class",
        names=run.class_names(len(counts)),
        shares=accuracy,
        said=[
            f"{100 * share:.1f}%  ({number(right)} of {number(total)})" if total else "no examples"
            for share, right, total in zip(accuracy, np.diag(counts), totals, strict=True)
        ],
        overall=overall,
        caption=f"test, {run.weights}; dashed line: all {'pixels' if pixels else 'classes'} together, {overall:.2%}",
    )
    return draw_class_bars(bars, run.name)
