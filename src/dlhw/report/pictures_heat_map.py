"""A metric over two swept keys: a cell a setting."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from dlhw.plot import style
from dlhw.report.contents import Report, Setting
from dlhw.report.pictures_axes import LOG_FROM, caption, estimate, figure_of, is_number, name_of, smaller_is_better

MOST_CELLS = 14  # along a side; beyond, figures would not fit into the cells


def draw_heat_map(report: Report) -> Figure | None:
    """The first key from top to bottom, the second from left to right. None unless both have several values."""
    if len(report.keys) != 2:
        return None
    down, across = (_values(report, key) for key in report.keys)
    if min(len(down), len(across)) < 2:
        return None
    cells = {tuple(repr(setting.values.get(key)) for key in report.keys): setting for setting in report.settings}
    grid = [[cells.get((repr(y), repr(x))) for x in across] for y in down]
    means = np.array([[_mean(setting, report.metric) for setting in row] for row in grid])
    if not np.isfinite(means).any():
        return None
    wide, high = min(max(2.6 + 0.95 * len(across), 6.0), 14), min(max(1.7 + 0.55 * len(down), 3.2), 11)
    figure = style.new_figure(wide, high, report.metric, report.title)
    ax = figure.add_subplot()
    image = _draw_cells(ax, means, report.metric)
    if max(means.shape) <= MOST_CELLS:
        _annotate(ax, grid, means, image, report.metric)
    _name_axes(ax, report.keys, down, across)
    _mark_best(figure, ax, grid, report)
    bar = figure.colorbar(image, ax=ax, fraction=0.05, pad=0.02)
    bar.set_label(report.metric, **style.plain(style.LABEL))
    bar.ax.tick_params(labelsize=style.SMALL, labelcolor=style.INK, colors=style.MUTED)
    bar.outline.set_visible(False)
    return figure


def _values(report: Report, key: str) -> list[Any]:
    """Numbers by size, names as they come."""
    found = {repr(setting.values[key]): setting.values[key] for setting in report.settings if key in setting.values}
    return sorted(found.values()) if all(map(is_number, found.values())) else list(found.values())


def _mean(setting: Setting | None, metric: str) -> float:
    found = setting and estimate(setting, metric)
    return found.mean if found else math.nan


def _draw_cells(ax: Axes, means: np.ndarray[Any, Any], metric: str) -> AxesImage:
    low, high = float(np.nanmin(means)), float(np.nanmax(means))
    log = smaller_is_better(metric) and 0 < LOG_FROM * low < high
    norm = LogNorm(low, high) if log else Normalize(low, high if high > low else low + 1)
    ax.set_facecolor(style.EMPTY)
    colours = "cividis_r" if smaller_is_better(metric) else "cividis"  # the brighter, the better
    return ax.imshow(np.ma.masked_invalid(means), cmap=colours, norm=norm, aspect="auto", interpolation="nearest")


def _annotate(
    ax: Axes, grid: list[list[Setting | None]], means: np.ndarray[Any, Any], image: AxesImage, metric: str
) -> None:
    for (y, x), mean in np.ndenumerate(means):
        if math.isfinite(mean):
            red, green, blue, _ = image.to_rgba(mean)
            ink = style.INK if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"
            _write(ax, x, y, _figure(grid[y][x], metric), ink)
        else:
            ax.add_patch(_box(x, y, 0.5, hatch="////", edgecolor=style.GRID, linewidth=0))
            _write(ax, x, y, why_empty(grid[y][x]), style.MUTED)


def _box(x: float, y: float, half: float, **look: Any) -> Rectangle:
    return Rectangle((x - half, y - half), 2 * half, 2 * half, fill=False, **look)


def _write(ax: Axes, x: float, y: float, text: str, ink: str) -> None:
    ax.text(x, y, text, ha="center", va="center", linespacing=1.3, **style.plain(style.SMALL, ink))


def _figure(setting: Setting | None, metric: str) -> str:
    found = setting and estimate(setting, metric)
    if not found:
        return ""
    return figure_of(found.mean) + (f"\n± {found.sd:.2g}" if found.sd is not None else "")


def why_empty(setting: Setting | None) -> str:
    """In a word, why a cell has no figure: its runs' status, or that there is none."""
    statuses = {run.status for run in setting.runs} if setting else set()
    worst = next((status for status in ("failed", "interrupted", "running", "queued") if status in statuses), None)
    return worst or ("not finite" if statuses else "no run")


def _name_axes(ax: Axes, keys: list[str], down: list[Any], across: list[Any]) -> None:
    style.dress(ax, None)
    style.label_axes(ax, keys[1], keys[0])
    names = [name_of(value, 16) for value in across]
    crowded = max(map(len, names)) > 10 or len(names) > MOST_CELLS
    turned: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
    ax.set_xticks(range(len(across)), names, **style.plain(style.SMALL), **turned)
    ax.set_yticks(range(len(down)), [name_of(value, 20) for value in down], **style.plain(style.SMALL))
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _mark_best(figure: Figure, ax: Axes, grid: list[list[Setting | None]], report: Report) -> None:
    smaller = smaller_is_better(report.metric)
    said = ["the smaller, the brighter" if smaller else "the larger, the brighter"]
    for y, row in enumerate(grid):
        for x, setting in enumerate(row):
            if setting is not None and setting is report.best:
                ax.add_patch(_box(x, y, 0.47, edgecolor=style.VERMILION, linewidth=2))
                said.append(f"framed: chosen by {report.chosen_by}")
    if any(estimate(s, report.metric) and s.figures[report.metric].sd is not None for row in grid for s in row if s):
        said.insert(0, "mean ± standard deviation over seeds")
    caption(figure, ax, "; ".join(said))
