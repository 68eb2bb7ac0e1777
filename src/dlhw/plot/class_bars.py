"""A share for each class, as bars."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from dlhw.plot import style
from dlhw.plot.run_folder import Floats

MOST_BARS = 40


@dataclass(frozen=True)
class ClassBars:
    """`title` names the quantity; `shares` are in [0, 1], NaN for classes without examples; `said` stands beside."""

    title: str
    across: str
    down: str
    names: list[str]
    shares: Floats
    said: list[str]
    overall: float
    caption: str


def draw_class_bars(bars: ClassBars, name: str) -> Figure:
    """Best class on top, classes without examples at the bottom; of very many classes only the worst."""
    names = [style.shorten(text, 28) for text in bars.names]
    order = np.argsort(np.where(np.isfinite(bars.shares), -bars.shares, np.inf), kind="stable")[-MOST_BARS:]
    title = bars.title if len(order) == len(names) else f"The {MOST_BARS} worst of {len(names)} classes"
    figure = style.new_figure(7.2, 0.27 * len(order) + 1.6, title, name)
    ax = figure.add_subplot()
    style.dress(ax, grid="x")
    style.label_axes(ax, bars.across, bars.down)
    places = np.arange(len(order))
    widths = 100 * np.nan_to_num(bars.shares[order])
    ax.barh(places, widths, height=0.72, color=style.BLUE, alpha=0.75, edgecolor="none")
    for place, index in enumerate(order):
        ax.text(101, place, bars.said[index], va="center", ha="left", **style.plain(style.SMALL))
    ax.axvline(100 * bars.overall, color=style.VERMILION, linewidth=1.4, linestyle="--", marker="")
    style.caption(ax, bars.caption)
    ax.set_yticks(places)
    ax.set_yticklabels([names[index] for index in order], **style.plain(style.SMALL))
    ax.set_xticks(range(0, 101, 20))
    ax.set_xlim(0, 100)
    ax.set_ylim(len(order) - 0.4, -0.6)
    return figure
