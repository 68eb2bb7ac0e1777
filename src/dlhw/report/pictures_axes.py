"""What the pictures of a report share: colours, legends, and axes for values that people chose."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from dlhw.plot import style
from dlhw.report.contents import Estimate, Setting

PURPLE, SKY, BLACK = "#cc79a7", "#56b4e9", "#000000"  # more of Okabe and Ito's; their yellow is too faint for a line
COLOURS = (style.BLUE, style.VERMILION, style.GREEN, style.ORANGE, PURPLE, SKY, BLACK, style.MUTED)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LOG_FROM = 100.0  # a loss whose largest value is this many times its smallest goes on a log axis
SMALLER_IS_BETTER = ("loss", "mse", "rmse", "mae", "seconds", "gap", "first_below")
LAST = ("other settings", "failed or interrupted here", "differs by more than is allowed")  # in a legend
CHARACTER = 0.56  # width of one, as a share of its size in points


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def name_of(value: Any, room: int = 24) -> str:
    """As YAML would have it, cut to fit."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if is_number(value) else style.shorten(str(value), room)


def figure_of(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def estimate(setting: Setting, metric: str) -> Estimate | None:
    """None where no run finished, or where the figure is not a finite number."""
    found = setting.figures.get(metric)
    return found if found is not None and math.isfinite(found.mean) else None


def smaller_is_better(metric: str) -> bool:
    return metric.rpartition("/")[2] in SMALLER_IS_BETTER


def in_ratio(values: Sequence[float]) -> bool:
    """Spread over a decade or more, or three and more at one ratio, such as 32, 64, 128. All positive."""
    ordered = np.array(sorted(set(values)), dtype=float)
    if len(ordered) < 2 or ordered[0] <= 0:
        return False
    ratios, steps = ordered[1:] / ordered[:-1], np.diff(ordered)
    even = (
        len(ordered) > 2 and np.allclose(ratios, ratios[0], rtol=0.02) and not np.allclose(steps, steps[0], rtol=0.02)
    )
    return bool(ordered[-1] >= 9.99 * ordered[0] or even)


class Places:
    """Where chosen numbers stand on an axis: by value, by its logarithm, or one place each in order.

    The last is for a zero among values in ratio (weight_decay=0,1e-4,1e-2), which a log axis has no place for.
    """

    def __init__(self, values: Sequence[float]) -> None:
        self.values = sorted(set(values))
        positive = [value for value in self.values if value > 0]
        self.log = in_ratio(self.values)
        spread = len(positive) > 1 and positive[-1] > 4 * positive[0]
        self.in_order = spread and self.values[: -len(positive)] == [0]

    def at(self, values: Sequence[float]) -> list[float]:
        return [float(self.values.index(value)) if self.in_order else float(value) for value in values]

    def dress(self, ax: Axes) -> None:
        """Scale, limits and ticks; a tick at each value while they are few and apart."""
        ticks = self.at(self.values)
        low, high = ticks[0], ticks[-1]
        if self.log:
            room = (high / low) ** 0.05
            ax.set_xscale("log")
            ax.set_xlim(low / room, high * room)
        else:
            room = 0.05 * (high - low) or 0.5
            ax.set_xlim(low - room, high + room)
        scaled = np.log(ticks) if self.log else np.array(ticks)
        span = float(scaled[-1] - scaled[0]) or 1.0
        widest = max(len(name_of(value)) for value in self.values)
        if len(ticks) <= 12 and (len(ticks) == 1 or float(np.diff(scaled).min()) > 0.022 * widest * span):
            ax.xaxis.set_major_locator(FixedLocator(ticks))
            ax.xaxis.set_minor_locator(NullLocator())
            ax.set_xticklabels([name_of(value) for value in self.values])
        else:
            ax.xaxis.set_minor_formatter(NullFormatter())


def frame(ax: Axes, values: Sequence[float], metric: str, along: Literal["x", "y"] = "y") -> None:
    """Limits around the finite values, zoomed; a log axis where a loss spans LOG_FROM."""
    finite = np.array([value for value in values if math.isfinite(value)])
    if not len(finite):
        return
    low, high = float(finite.min()), float(finite.max())
    if smaller_is_better(metric) and 0 < LOG_FROM * low < high:
        ax.set(**{f"{along}scale": "log", f"{along}lim": (low / 1.5, high * 1.5)})
        getattr(ax, f"{along}axis").set_minor_formatter(NullFormatter())
    else:
        room = 0.08 * (high - low) or 0.02 * abs(high) or 0.05
        ax.set(**{f"{along}lim": (low - room, high + room)})
        ax.ticklabel_format(axis=along, style="plain" if 1e-4 < high < 1e6 else "sci", useOffset=False)


def legend(figure: Figure, axes: list[Axes], title: str = "") -> None:
    """Under the plots, each label once, in as many columns as fit."""
    entries = {
        label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }  # fmt: skip
    if not entries:
        return
    entries = dict(sorted(entries.items(), key=lambda entry: entry[0] in LAST))
    columns = _columns([len(label) + 7 for label in entries], figure.get_figwidth() * 72 / (style.SMALL * CHARACTER))
    figure.legend(
        handles=list(entries.values()), labels=list(entries), loc="outside lower center", frameon=False,
        ncols=columns, labelcolor=style.INK, prop={"family": "DejaVu Sans", "size": style.SMALL},
        numpoints=1, title=title or None, title_fontproperties={"family": "DejaVu Sans", "size": style.SMALL},
    )  # fmt: skip


def _columns(widths: list[int], room: float) -> int:
    """The most that fit beside each other; matplotlib fills them from top to bottom."""
    for columns in range(len(widths), 1, -1):
        down = math.ceil(len(widths) / columns)
        if sum(max(widths[at : at + down]) for at in range(0, len(widths), down)) <= room:
            return columns
    return 1


def caption(figure: Figure, ax: Axes, text: str) -> None:
    """Quiet lines over the first axes, wrapped to the figure's width."""
    room = int(figure.get_figwidth() * 72 / (style.SMALL * CHARACTER)) - 12
    style.caption(ax, "\n".join(textwrap.wrap(text, room)))


def panels(figure: Figure, count: int, **shared: Any) -> list[Axes]:
    return list(figure.subplots(1, count, squeeze=False, **shared)[0])
