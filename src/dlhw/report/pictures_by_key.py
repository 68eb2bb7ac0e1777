"""A metric against one swept key: lines where its values are numbers, dots where they are names."""

import math
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlhw.plot import style
from dlhw.report.contents import Report, Setting
from dlhw.report.pictures_axes import (
    COLOURS,
    MARKERS,
    Places,
    caption,
    estimate,
    frame,
    is_number,
    legend,
    name_of,
    panels,
    smaller_is_better,
)

MOST_LINES = 8  # beyond, the settings of the other keys are averaged
MOST_ROWS = 30


@dataclass(frozen=True)
class Point:
    """A metric at one value of the key. singles: what the mean is over: seeds, or settings of the other keys."""

    value: Any
    mean: float
    sd: float
    singles: tuple[float, ...]

    @property
    def extent(self) -> tuple[float, ...]:
        return (self.mean - self.sd, self.mean + self.sd, *self.singles)


@dataclass(frozen=True)
class Line:
    """label: the other keys' values; empty where there are none, or where it is the mean over them."""

    label: str
    points: list[Point]


def draw_by_key(report: Report, key: str) -> Figure | None:
    """None where the key has a single value, where no run that has one finished, or where each combination of the
    other keys has a single value of it (keys changed together: the first of them stands for all)."""
    metrics = [metric for metric in dict.fromkeys((report.metric, "train/loss")) if lines(report, key, metric)]
    values = [setting.values[key] for setting in report.settings if key in setting.values]
    if len({repr(value) for value in values}) < 2 or not metrics:
        return None
    if key != report.keys[0] and _together([_others(s, key) for s in report.settings if estimate(s, metrics[0])]):
        return None
    draw = _draw_numbers if all(map(is_number, values)) else _draw_names
    return draw(report, key, metrics)


def lines(report: Report, key: str, metric: str) -> list[Line]:
    """One for each combination of the other swept keys, or a single one, their mean, where they are too many."""
    found = [setting for setting in report.settings if key in setting.values and estimate(setting, metric)]
    kept = _in_order(found, key)
    others = [_others(setting, key) for setting in kept]
    names = list(dict.fromkeys(others))
    if _together(others):
        return [Line("", [_point(setting, key, metric) for setting in kept])]
    if len(names) > MOST_LINES:
        return [Line("", _means(kept, key, metric))]
    return [
        Line(name, [_point(setting, key, metric) for setting, other in zip(kept, others, strict=True) if other == name])
        for name in names
    ]


def _together(others: list[str]) -> bool:
    """Whether each combination of the other keys has a single setting: the keys were changed together."""
    return 1 < len(others) == len(set(others))


def _in_order(settings: list[Setting], key: str) -> list[Setting]:
    """Numbers by size; names as they come, those alike together."""
    if all(is_number(setting.values[key]) for setting in settings):
        return sorted(settings, key=lambda setting: float(setting.values[key]))
    names = list(dict.fromkeys(repr(setting.values[key]) for setting in settings))
    return sorted(settings, key=lambda setting: names.index(repr(setting.values[key])))


def _others(setting: Setting, key: str) -> str:
    rest = {other: value for other, value in setting.values.items() if other != key}
    return ", ".join(f"{other.rpartition('.')[2]}={name_of(value, 16)}" for other, value in rest.items())


def _point(setting: Setting, key: str, metric: str) -> Point:
    figure = setting.figures[metric]
    return Point(setting.values[key], figure.mean, figure.sd or 0.0, figure.values)


def _means(settings: list[Setting], key: str, metric: str) -> list[Point]:
    """A setting weighs the same whatever its number of seeds."""
    points = []
    for _, alike in groupby(settings, lambda setting: repr(setting.values[key])):
        group = list(alike)
        singles = tuple(setting.figures[metric].mean for setting in group)
        sd = float(np.std(singles, ddof=1)) if len(singles) > 1 else 0.0
        points.append(Point(group[0].values[key], float(np.mean(singles)), sd, singles))
    return points


def _draw_numbers(report: Report, key: str, metrics: list[str]) -> Figure:
    figure = style.new_figure(5.4 * len(metrics) if len(metrics) > 1 else 6.8, 4.2, f"By {key}", report.title)
    axes = panels(figure, len(metrics))
    places = Places([setting.values[key] for setting in report.settings if key in setting.values])
    for ax, metric in zip(axes, metrics, strict=True):
        style.dress(ax)
        style.label_axes(ax, key, metric)
        drawn = lines(report, key, metric)
        for index, line in enumerate(drawn):
            _draw_line(ax, line, places, index)
        frame(ax, [end for line in drawn for point in line.points for end in point.extent], metric)
        places.dress(ax)
    _finish(figure, axes, report, key, metrics[0])
    return figure


def _draw_line(ax: Axes, line: Line, places: Places, index: int) -> None:
    colour, at = COLOURS[index], places.at([point.value for point in line.points])
    means, sds = np.array([(point.mean, point.sd) for point in line.points]).T
    if sds.any():
        ax.fill_between(at, means - sds, means + sds, color=colour, alpha=0.15, linewidth=0)
    for x, point in zip(at, line.points, strict=True):
        if len(point.singles) > 1:
            ax.plot([x] * len(point.singles), point.singles, linestyle="none", marker=".", markersize=5, color=colour,
                    alpha=0.5, label="_singles")  # fmt: skip
    ax.plot(at, means, color=colour, linewidth=1.6, marker=MARKERS[index], markersize=5, label=line.label or "_mean")


def _draw_names(report: Report, key: str, metrics: list[str]) -> Figure:
    rows = _ranked(report, key, report.chosen_by or metrics[0])
    figure = style.new_figure(4.6 * len(metrics) + 1.4, max(1.6 + 0.36 * len(rows), 2.8), f"By {key}", report.title)
    axes = panels(figure, len(metrics), sharey=True)
    for ax, metric in zip(axes, metrics, strict=True):
        style.dress(ax, "x")
        style.label_axes(ax, metric, "")
        drawn = lines(report, key, metric)
        for index, line in enumerate(drawn):
            _draw_dots(ax, line, rows, index, 0.6 * ((index + 0.5) / len(drawn) - 0.5))
        points = [point for line in drawn for point in line.points if repr(point.value) in rows]
        frame(ax, [end for point in points for end in point.extent], metric, "x")
        if ax.get_xscale() == "linear":
            ax.locator_params(axis="x", nbins=6)
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    axes[0].set_yticks(range(len(rows)), [name_of(value) for value in rows.values()], **style.plain(style.SMALL))
    axes[0].set_ylabel(key, **style.plain(style.LABEL))
    _finish(figure, axes, report, key, metrics[0])
    return figure


def _ranked(report: Report, key: str, metric: str) -> dict[str, Any]:
    """The key's values by repr, best first, at most MOST_ROWS; those without a finite figure stand last."""
    values = {repr(s.values[key]): s.values[key] for s in report.settings if key in s.values}
    points = [point for line in lines(report, key, metric) for point in line.points]

    def height(name: str) -> float:
        found = [point.mean for point in points if repr(point.value) == name]
        mean = float(np.mean(found)) if found else math.inf
        return mean if smaller_is_better(metric) or not found else -mean

    return {name: values[name] for name in sorted(values, key=height)[:MOST_ROWS]}


def _draw_dots(ax: Axes, line: Line, rows: dict[str, Any], index: int, shift: float) -> None:
    places = list(rows)
    points = [point for point in line.points if repr(point.value) in rows]
    at = [places.index(repr(point.value)) + shift for point in points]
    look: dict[str, Any] = {"color": COLOURS[index], "linestyle": "none"}
    for y, point in zip(at, points, strict=True):
        if len(point.singles) > 1:
            at_row = [y] * len(point.singles)
            ax.plot(point.singles, at_row, marker=".", markersize=5, alpha=0.5, label="_singles", **look)
    ax.errorbar(
        [point.mean for point in points], at, xerr=[point.sd for point in points], marker=MARKERS[index], markersize=6,
        elinewidth=1.2, capsize=2.5, label=line.label or "_mean", **look,
    )  # fmt: skip


def _finish(figure: Figure, axes: list[Axes], report: Report, key: str, metric: str) -> None:
    caption(figure, axes[0], said_of(report, key, metric))
    if len(lines(report, key, metric)) > 1:
        legend(figure, axes)


def said_of(report: Report, key: str, metric: str) -> str:
    """What band and dots are, and what could not be drawn."""
    drawn = lines(report, key, metric)
    most = max((len(point.singles) for line in drawn for point in line.points), default=0)
    others = [other for other in report.keys if other != key]
    said = []
    finished = [_others(setting, key) for setting in report.settings if estimate(setting, metric)]
    if _together(finished):
        said.append(f"changed along with it: {', '.join(others)}")
    elif len(drawn) == 1 and not drawn[0].label and others:
        said.append(f"mean ± standard deviation over the settings of {', '.join(others)}; small dots: single settings")
    if most > 1 and not any("settings of" in words for words in said):
        said.append("mean ± standard deviation over seeds; small dots: single seeds")
    values = {repr(s.values[key]) for s in report.settings if key in s.values}
    if len(values) > MOST_ROWS and not all(is_number(s.values[key]) for s in report.settings if key in s.values):
        said.append(f"the best {MOST_ROWS} of {len(values)}")
    without = [setting.label for setting in report.settings if key in setting.values and not estimate(setting, metric)]
    if without:
        shown = ", ".join(style.shorten(name, 30) for name in without[:4])
        said.append(f"without a finite figure: {shown}{f' and {len(without) - 4} more' if len(without) > 4 else ''}")
    return "; ".join(said)
