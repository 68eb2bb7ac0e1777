"""The learning rate over the steps."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from dlhw.plot import style
from dlhw.plot.decimate import decimate
from dlhw.plot.run_folder import Floats, RunFolder


def draw_learning_rate(run: RunFolder) -> Figure | None:
    """From each step where steps.csv has them, else a point an epoch."""
    steps, rates = decimate(*_schedule(run))
    if not len(steps):
        return None
    figure = style.new_figure(6.4, 3.6, "Learning rate", run.name)
    ax = figure.add_subplot()
    style.dress(ax)
    style.label_axes(ax, "Step (update of the weights)", "Learning rate")
    marker = "o" if len(steps) <= 30 else ""
    ax.plot(steps, rates, color=style.BLUE, linewidth=1.6, linestyle="-", marker=marker, markersize=3.5)
    low, high = rates.min(), rates.max()
    if low > 0 and high > 10 * low:
        ax.set_yscale("log")
    else:
        ax.set_ylim(min(0.0, 1.08 * low), 1.08 * high or 1.0)
    style.caption(ax, _course(rates))
    margin = 0.02 * (steps.max() - steps.min()) or 0.5
    ax.set_xlim(steps.min() - margin, steps.max() + margin)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    return figure


def _course(rates: Floats) -> str:
    """The schedule in words: where it starts and ends, and its peak where that is neither."""
    first, last, peak = rates[0], rates[-1], rates.max()
    if peak == rates.min():
        return f"{peak:.4g} throughout"
    return f"from {first:.4g} " + (f"over {peak:.4g} " if peak > max(first, last) else "") + f"to {last:.4g}"


def _schedule(run: RunFolder) -> tuple[Floats, Floats]:
    for table in (run.steps, run.metrics):
        if {"step", "lr"} <= table.keys() and np.isfinite(table["lr"]).any():
            return table["step"], table["lr"]
    return np.empty(0), np.empty(0)
