"""All runs in one picture: their curves by epoch, and a metric against what it cost."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from dlhw.plot import style
from dlhw.report.contents import Report, Run, Setting
from dlhw.report.pictures_axes import COLOURS, caption, estimate, frame, legend, panels
from dlhw.report.pictures_labels import place_labels

MOST_RUNS, MOST_COLOURS, MOST_LABELS = 60, 8, 15
FAINT = "#b8b8b8"


def draw_curves(report: Report) -> Figure | None:
    """The metric that chooses, by epoch, and the training loss. A colour a setting while they are few, else the best
    setting's runs over the muted rest."""
    columns = curve_columns(report)
    if not columns:
        return None
    figure = style.new_figure(5.4 * len(columns) if len(columns) > 1 else 6.8, 4.2, "Curves", report.title)
    axes = panels(figure, len(columns))
    for ax, column in zip(axes, columns, strict=True):
        _draw_panel(ax, report, column)
    runs = [run for run in report.runs if _curve(run, columns[0])[0].size]
    said = [f"{len(thinned(report, columns[0]))} of {len(runs)} runs drawn"] if len(runs) > MOST_RUNS else []
    said += [f"bold: {_short(report.best)}, chosen by {report.chosen_by}"] if report.best else []
    caption(figure, axes[0], "; ".join(said))
    legend(figure, axes)
    return figure


def curve_columns(report: Report) -> list[str]:
    """Of metrics.csv: what was chosen by, else the metric itself, else its twin on another split; then train/loss."""
    name = report.metric.rpartition("/")[2]
    wanted = [report.chosen_by or "", f"val/{name}", report.metric, f"test/{name}", f"train/{name}"]
    recorded = {column for run in report.runs for column in run.rows if _curve(run, column)[0].size}
    first = [column for column in wanted if column in recorded][:1]
    return list(dict.fromkeys([*first, *(["train/loss"] if "train/loss" in recorded else [])]))


def _curve(run: Run, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs and values, finite ones alone; both empty where the run has no such column."""
    epochs, values = run.rows.get("epoch", np.empty(0)), run.rows.get(column, np.empty(0))
    if len(epochs) != len(values):
        return np.empty(0), np.empty(0)
    kept = np.isfinite(epochs) & np.isfinite(values)
    return epochs[kept], values[kept]


def thinned(report: Report, column: str) -> list[Run]:
    """Those with a curve: all while they are few, else the best setting's and, evenly chosen, some of the others."""
    runs = [run for run in report.runs if _curve(run, column)[0].size]
    if len(runs) <= MOST_RUNS:
        return runs
    best = [run for run in runs if report.best and _of(run, report.best)][:MOST_RUNS]
    others = [run for run in runs if not (report.best and _of(run, report.best))]
    picked = np.unique(np.linspace(0, len(others) - 1, MOST_RUNS - len(best)).astype(int))
    return [*(others[index] for index in picked), *best]


def _draw_panel(ax: Axes, report: Report, column: str) -> None:
    style.dress(ax)
    style.label_axes(ax, "epoch", column)
    runs, settings = thinned(report, column), report.settings
    coloured = 1 < len(settings) <= MOST_COLOURS
    values: list[float] = []
    for run in runs:
        index = next((index for index, setting in enumerate(settings) if _of(run, setting)), None)
        best = report.best is not None and _of(run, report.best)
        colour = COLOURS[index] if coloured and index is not None else style.VERMILION if best else FAINT
        if len(settings) == 1:
            colour = style.BLUE
        label = _label(report, index, coloured, best)
        _draw_run(ax, run, column, colour, best, label)
        values += list(_curve(run, column)[1])
    frame(ax, values, column)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def _label(report: Report, index: int | None, coloured: bool, best: bool) -> str:
    if index is None or not (coloured or best):
        return "other settings" if report.best and len(report.settings) > 1 else "_run"
    return _short(report.settings[index]) + (f", chosen by {report.chosen_by}" if best and not coloured else "")


def _of(run: Run, setting: Setting) -> bool:
    return any(run is other for other in setting.runs)


def _short(setting: Setting) -> str:
    return style.shorten(setting.label, 44)


def _draw_run(ax: Axes, run: Run, column: str, colour: str, best: bool, label: str) -> None:
    epochs, values = _curve(run, column)
    over = 3 if best else 2
    ax.plot(epochs, values, color=colour, linewidth=2.4 if best else 1.1, alpha=1.0 if best else 0.8, zorder=over,
            marker="o" if len(epochs) == 1 else "", markersize=4, label=label)  # fmt: skip
    if run.status in ("failed", "interrupted"):
        ax.plot(epochs[-1:], values[-1:], color=style.INK, marker="x", markersize=6, linestyle="none", zorder=4,
                label="failed or interrupted here")  # fmt: skip


def draw_against_seconds(report: Report) -> Figure | None:
    """One dot a setting. None where fewer than two settings have both figures."""
    found = [(setting, estimate(setting, "seconds"), estimate(setting, report.metric)) for setting in report.settings]
    dots = [(setting, x, y) for setting, x, y in found if x and y]
    if len(dots) < 2:
        return None
    figure = style.new_figure(6.8, 4.6, f"{report.metric} against seconds", report.title)
    ax = figure.add_subplot()
    style.dress(ax)
    style.label_axes(ax, "seconds of training", report.metric)
    for setting, x, y in dots:
        colour, over = (style.VERMILION, 3) if setting is report.best else (style.BLUE, 2)
        ax.errorbar(x.mean, y.mean, xerr=x.sd, yerr=y.sd, marker="o", markersize=6, elinewidth=0.8, linestyle="none",
                    color=colour, zorder=over)  # fmt: skip
    frame(ax, [end for _, _, y in dots for end in (y.mean - (y.sd or 0), y.mean + (y.sd or 0))], report.metric)
    _frame_seconds(
        ax,
        [end for _, x, _ in dots for end in (x.mean - (x.sd or 0), x.mean + (x.sd or 0))],
        min(x.mean for _, x, _ in dots),
    )
    said = ["mean ± standard deviation over seeds"] if any(y.n > 1 for _, _, y in dots) else []
    said += [f"orange-red: chosen by {report.chosen_by}"] if report.best else []
    caption(figure, ax, "; ".join(said))
    if len(dots) <= MOST_LABELS:
        crosses = [(x.mean, y.mean, x.sd or 0.0, y.sd or 0.0) for _, x, y in dots]
        place_labels(ax, crosses, [style.shorten(setting.label, 40) for setting, _, _ in dots])
    return figure


def _frame_seconds(ax: Axes, ends: Sequence[float], least: float) -> None:
    low, high = min(ends), max(ends)
    if least > 0 and high > 10 * least:
        ax.set_xscale("log")
        ax.set_xlim(max(low, least / 2) / 1.3, high * 1.3)
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        room = 0.12 * (high - low) or 0.1 * abs(high) or 1.0
        ax.set_xlim(max(0.0, low - room) if low >= 0 else low - room, high + room)
