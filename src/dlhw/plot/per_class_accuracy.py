"""How well each class is recognised."""

import numpy as np
from matplotlib.figure import Figure

from dlhw.plot import style
from dlhw.plot.confusion_matrix import confusion_counts, row_shares
from dlhw.plot.run_folder import RunFolder

MOST_BARS = 40


def draw_per_class_accuracy(run: RunFolder) -> Figure | None:
    """Best class on top, classes without examples at the bottom; of very many classes only the worst."""
    counts = confusion_counts(run)
    if counts is None:
        return None
    totals, accuracy = counts.sum(axis=1), np.diag(row_shares(counts))
    names = [style.shorten(name, 28) for name in run.class_names(len(counts))]
    order = np.argsort(np.where(totals > 0, -accuracy, np.inf), kind="stable")[-MOST_BARS:]
    overall = np.trace(counts) / counts.sum()

    title = "Accuracy of each class" if len(order) == len(counts) else f"The {MOST_BARS} worst of {len(counts)} classes"
    figure = style.new_figure(7.2, 0.27 * len(order) + 1.6, title, run.name)
    ax = figure.add_subplot()
    style.dress(ax, grid="x")
    style.label_axes(ax, "Recognised among the class's own examples (%)", "True class")
    places = np.arange(len(order))
    ax.barh(places, 100 * np.nan_to_num(accuracy[order]), height=0.72, color=style.BLUE, alpha=0.75, edgecolor="none")
    for place, index in enumerate(order):
        right, total = int(counts[index, index]), int(totals[index])
        value = f"{100 * accuracy[index]:.1f}%  ({right:,} of {total:,})" if total else "no examples"
        ax.text(101, place, value, va="center", ha="left", **style.plain(style.SMALL))
    ax.axvline(100 * overall, color=style.VERMILION, linewidth=1.4, linestyle="--", marker="")
    style.caption(ax, f"test, {run.weights}; dashed line: all classes together, {100 * overall:.2f}%")
    ax.set_yticks(places)
    ax.set_yticklabels([names[index] for index in order], **style.plain(style.SMALL))
    ax.set_xticks(range(0, 101, 20))
    ax.set_xlim(0, 100)
    ax.set_ylim(len(order) - 0.4, -0.6)
    return figure
