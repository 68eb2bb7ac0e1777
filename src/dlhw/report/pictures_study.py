"""A study's tables: what the source reports beside what was measured."""

import math
from itertools import product
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlhw.plot import style
from dlhw.report.contents import Estimate, Report, Row
from dlhw.report.pictures_axes import Places, caption, estimate, frame, legend, panels

MOST_METRICS, MOST_PANELS = 3, 12
REPORTED: dict[str, Any] = {"color": style.ORANGE, "marker": "s"}
MEASURED: dict[str, Any] = {"color": style.BLUE, "marker": "o"}


def draw_table(report: Report, table: str) -> Figure | None:
    """A panel a reported metric.

    None where the source reports no figure, where nothing was measured, and for a single row, which its line tells.
    """
    rows = [row for row in report.rows if row.table == table]
    metrics = list(dict.fromkeys(metric for row in rows for metric in row.reported))[:MOST_METRICS]
    metrics = [metric for metric in metrics if any(_measured(row, metric) for row in rows)]
    if not metrics or len(rows) == 1:
        return None
    numeric = len(rows) > 1 and all(_number(row.label) is not None for row in rows)
    across = max(5.0 * len(metrics) + (0 if numeric else 1.4), 6.8)
    figure = style.new_figure(across, 4.2 if numeric else max(1.9 + 0.4 * len(rows), 2.9), table, report.title)
    axes = panels(figure, len(metrics), sharey=not numeric)
    for ax, metric in zip(axes, metrics, strict=True):
        (_draw_lines if numeric else _draw_pairs)(ax, rows, metric)
        frame(ax, _extent(rows, metric), metric, "y" if numeric else "x")
    if numeric:
        _name_numbers(axes, rows, report, metrics)
    else:
        _name_rows(axes, rows, table, metrics)
    caption(figure, axes[0], _said(rows, metrics))
    legend(figure, axes)
    return figure


def _number(label: str) -> float | None:
    try:
        value = float(label)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _measured(row: Row, metric: str) -> Estimate | None:
    return estimate(row.setting, metric) if row.setting else None


def _extent(rows: list[Row], metric: str) -> list[float]:
    told = [row.reported[metric] for row in rows if metric in row.reported]
    found = [found for row in rows if (found := _measured(row, metric))]
    return [*told, *(end for one in found for end in (one.mean - (one.sd or 0), one.mean + (one.sd or 0)))]


def _draw_lines(ax: Axes, rows: list[Row], metric: str) -> None:
    style.dress(ax)
    places = Places([float(row.label) for row in rows])
    ordered = sorted(rows, key=lambda row: float(row.label))
    told = [(float(row.label), row.reported[metric]) for row in ordered if metric in row.reported]
    found = [(row, one) for row in ordered if (one := _measured(row, metric))]
    ax.plot(places.at([x for x, _ in told]), [y for _, y in told], linestyle="--", linewidth=1.4, markersize=5.5,
            label="reported", **REPORTED)  # fmt: skip
    at = places.at([float(row.label) for row, _ in found])
    ax.errorbar(at, [one.mean for _, one in found], yerr=[one.sd or 0 for _, one in found], linewidth=1.6, capsize=2.5,
                elinewidth=1.0, markersize=5.5, label="measured", **MEASURED)  # fmt: skip
    off = [(x, one.mean) for x, (row, one) in zip(at, found, strict=True) if row.verdicts.get(metric) == "differs"]
    _ring(ax, [x for x, _ in off], [y for _, y in off])
    places.dress(ax)


def _draw_pairs(ax: Axes, rows: list[Row], metric: str) -> None:
    style.dress(ax, "x")
    for place, row in enumerate(rows):
        told, found = row.reported.get(metric), _measured(row, metric)
        if told is not None and found:
            ax.plot([told, found.mean], [place, place], color=style.GRID, linewidth=2.5, label="_pair", zorder=1.5)
        if told is not None:
            ax.plot([told], [place], linestyle="none", markersize=7, label="reported", **REPORTED)
        if found:
            ax.errorbar([found.mean], [place], xerr=[found.sd or 0], linestyle="none", capsize=2.5, elinewidth=1.0,
                        markersize=7, label="measured", **MEASURED)  # fmt: skip
            if row.verdicts.get(metric) == "differs":
                _ring(ax, [found.mean], [float(place)])


def _ring(ax: Axes, xs: list[float], ys: list[float]) -> None:
    if xs:
        ax.plot(xs, ys, linestyle="none", marker="o", markersize=13, markerfacecolor="none", markeredgewidth=1.5,
                markeredgecolor=style.VERMILION, zorder=4, label="differs by more than is allowed")  # fmt: skip


def _name_numbers(axes: list[Axes], rows: list[Row], report: Report, metrics: list[str]) -> None:
    by = _key(rows, report)
    for ax, metric in zip(axes, metrics, strict=True):
        style.label_axes(ax, by, metric)


def _key(rows: list[Row], report: Report) -> str:
    """The swept key whose values the labels are; the table's name where none is."""
    for key in report.keys:
        values = [row.setting.values.get(key) if row.setting else None for row in rows]
        if all(_same(row.label, value) for row, value in zip(rows, values, strict=True) if value is not None) and any(
            value is not None for value in values
        ):
            return key
    return rows[0].by or rows[0].table


def _same(label: str, value: Any) -> bool:
    return label == str(value) or (_number(str(value)) is not None and _number(str(value)) == _number(label))


def _name_rows(axes: list[Axes], rows: list[Row], table: str, metrics: list[str]) -> None:
    for ax, metric in zip(axes, metrics, strict=True):
        style.label_axes(ax, metric, "")
        ax.locator_params(axis="x", nbins=6)
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    names = [style.shorten(row.label, 30) for row in rows]
    axes[0].set_yticks(range(len(rows)), names, **style.plain(style.SMALL))
    axes[0].set_ylabel(table, **style.plain(style.LABEL))


def _said(rows: list[Row], metrics: list[str]) -> str:
    said = []
    if any(found.n > 1 for row in rows for metric in metrics if (found := _measured(row, metric))):
        said.append("measured: mean ± standard deviation over seeds")
    waiting = [row.label for row in rows if not any(_measured(row, metric) for metric in metrics)]
    if waiting:
        said.append(f"not measured: {', '.join(style.shorten(label, 24) for label in waiting[:5])}")
    return "; ".join(said)


def draw_table_curves(report: Report, table: str) -> Figure | None:
    """The source's curves beside ours: a panel a row and metric. None where the source shows none."""
    rows = [row for row in report.rows if row.table == table and row.curves]
    wanted = list(dict.fromkeys(metric for row in rows for metric in row.curves))[:MOST_METRICS]
    shown = [(row, metric) for row, metric in product(rows, wanted) if row.curves.get(metric)][:MOST_PANELS]
    if not any(run.rows for row, _ in shown if row.setting for run in row.setting.runs):
        return None
    across = min(len(shown), len(wanted) if len(wanted) > 1 else 3)
    down = math.ceil(len(shown) / across)
    figure = style.new_figure(max(4.4 * across, 6.0), 2.9 * down + 0.9, f"{table}: curves", report.title)
    grid = figure.subplots(down, across, squeeze=False)
    axes = [ax for line in grid for ax in line]
    for ax in axes[len(shown) :]:
        ax.remove()
    for ax, (row, metric) in zip(axes, shown, strict=False):
        _draw_curves(ax, row, metric)
    legend(figure, axes[: len(shown)])
    return figure


def _draw_curves(ax: Axes, row: Row, metric: str) -> None:
    style.dress(ax)
    style.label_axes(ax, "epoch", metric)
    told = row.curves[metric]
    ours = [run.rows for run in row.setting.runs] if row.setting else []
    ours = [rows for rows in ours if metric in rows and len(rows.get("epoch", ())) == len(rows[metric])]
    for rows in ours:
        ax.plot(rows["epoch"], rows[metric], color=style.BLUE, linewidth=1.4, label="measured, each run",
                marker="." if len(rows["epoch"]) <= 30 else "", alpha=1.0 if len(ours) == 1 else 0.6)  # fmt: skip
    ax.plot(range(1, len(told) + 1), told, color=style.ORANGE, linewidth=1.6, linestyle="--", label="reported",
            marker="s" if len(told) <= 30 else "", markersize=3)  # fmt: skip
    frame(ax, [*told, *(float(value) for rows in ours for value in rows[metric])], metric)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    style.caption(ax, style.shorten(row.label, 40) + ("" if ours else f" (no {metric} by epoch was recorded here)"))
