"""Loss and each metric over the epochs, side by side."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from dlhw.plot import style
from dlhw.plot.quantity import Quantity, quantity
from dlhw.plot.reference_lines import baselines, below, draw_baselines, draw_loss_below, loss_below
from dlhw.plot.run_folder import Floats, RunFolder
from dlhw.plot.step_losses import step_losses

SPLITS = ("train", "val", "test")
PER_ROW = 3
LOG_FROM = 1000.0  # a loss whose largest value is this many times its smallest goes on a log axis;
LOG_FROM_ASKED = 30.0  # so many times where a small loss is asked for


def draw_curves(run: RunFolder) -> Figure | None:
    """One panel a metric, loss first. The caption over a panel holds the value at the best epoch and the tested one."""
    metrics = recorded_metrics(run)
    if not metrics:
        return None
    rows = math.ceil(len(metrics) / PER_ROW)
    columns = math.ceil(len(metrics) / rows)
    figure = style.new_figure(max(4.8 * columns, 6.4), 3.5 * rows + 0.7, "Training curves", run.name)
    grid = figure.add_gridspec(rows, columns)
    axes = [figure.add_subplot(grid[index // columns, index % columns]) for index in range(len(metrics))]
    steps = step_losses(run)
    for ax, metric in zip(axes, metrics, strict=True):
        _draw_panel(ax, run, metric, steps if metric == "loss" else None)
        if metrics[0] == "loss" and len(steps[0]):
            ax.set_xlim(left=0.0)  # where the first steps lie; the same in every panel, to compare down and across
    style.legend_below(figure, axes)
    return figure


def recorded_metrics(run: RunFolder) -> list[str]:
    """The parts behind the slash that hold at least one finite value, loss first, else in the file's order."""
    if not np.isfinite(run.metrics.get("epoch", np.empty(0))).any():
        return []
    columns = [(key.partition("/"), values) for key, values in run.metrics.items()]
    found = [metric for (split, _, metric), values in columns if split in SPLITS and np.isfinite(values).any()]
    return sorted(dict.fromkeys(found), key=lambda metric: metric != "loss")


def _draw_panel(ax: Axes, run: RunFolder, metric: str, steps: tuple[Floats, Floats] | None) -> None:
    epochs = run.metrics["epoch"]
    recorded = {split: run.metrics.get(f"{split}/{metric}") for split in SPLITS}
    curves = {
        split: np.where(np.isfinite(values), values, np.nan) for split, values in recorded.items() if values is not None
    }
    tested = run.result(f"test/{metric}")
    values = np.concatenate([*curves.values(), [np.nan if tested is None else tested]])
    values = values[np.isfinite(values)]
    shown = quantity(metric, values)

    style.dress(ax)
    style.label_axes(ax, "Epoch", shown.label)
    seen_steps = np.empty(0)
    if steps is not None and len(steps[0]):
        ax.plot(*steps, color=style.BLUE, alpha=0.25, linewidth=0.6, linestyle="-", marker="", label="train, each step")
        seen_steps = np.quantile(steps[1], [0.01, 0.99])  # a few wild steps do not squeeze the epochs' curves
    marked = len(epochs) <= 30
    for split, curve in curves.items():
        ax.plot(
            epochs, curve * shown.scale, label=split, color=style.SPLIT_COLOURS[split], linewidth=1.6,
            linestyle=style.SPLIT_LINES[split], marker=style.SPLIT_MARKERS[split] if marked else "", markersize=3.5,
        )  # fmt: skip
    at_best = _at_best(run, curves.get("val"))
    _mark_best(ax, run.best_epoch, at_best, shown)
    if tested is not None:
        at = np.nanmax(epochs) if run.best_epoch is None else run.best_epoch
        weights = "last" if run.best_epoch is None else "best"
        ax.plot(
            [at], [tested * shown.scale], label=f"test, {weights} weights", color=style.GREEN, linestyle="none",
            marker="D", markersize=7, markerfacecolor="none", markeredgewidth=1.5, zorder=4,
        )  # fmt: skip
    asked = loss_below(run) if metric == "loss" else None
    if asked is not None:
        draw_loss_below(ax, asked, run)
        seen_steps = np.append(seen_steps, asked[0])
    _frame_epochs(ax, epochs)
    log_from = LOG_FROM if asked is None else LOG_FROM_ASKED
    _frame_values(ax, np.concatenate([values * shown.scale, seen_steps]), log_from if metric == "loss" else None)
    not_drawn = draw_baselines(ax, baselines(run, metric), shown)
    style.caption(ax, below(not_drawn, _caption(run.best_epoch, at_best, tested, shown)))


def _at_best(run: RunFolder, val: Floats | None) -> float | None:
    """What the validation split said at the best epoch, if that is on record."""
    if val is None or run.best_epoch is None:
        return None
    value = val[run.metrics["epoch"] == run.best_epoch][-1:]
    return float(value[0]) if np.isfinite(value).any() else None


def _mark_best(ax: Axes, best_epoch: int | None, at_best: float | None, shown: Quantity) -> None:
    if best_epoch is None:
        return
    ax.axvline(best_epoch, color=style.MUTED, linewidth=0.9, linestyle=":", marker="", label="best epoch")
    if at_best is not None:
        ax.plot(
            [best_epoch], [at_best * shown.scale], label="_best", linestyle="none", marker="o", markersize=11,
            markerfacecolor="none", markeredgecolor=style.VERMILION, markeredgewidth=1.5, zorder=4,
        )  # fmt: skip


def _caption(best_epoch: int | None, at_best: float | None, tested: float | None, shown: Quantity) -> str:
    values = [] if at_best is None else [f"val {shown.show(at_best)}"]
    values += [] if tested is None else [f"test {shown.show(tested)}"]
    weights = "last weights" if best_epoch is None else f"best epoch {best_epoch}"
    return f"{weights}: {', '.join(values)}" if values else ""


def _frame_epochs(ax: Axes, epochs: Floats) -> None:
    first, last = np.nanmin(epochs), np.nanmax(epochs)
    room = max(0.03 * (last - first), 0.15 if last > first else 0.5)
    ax.set_xlim(first - room, last + room)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def _frame_values(ax: Axes, values: Floats, log_from: float | None) -> None:
    low, high = values.min(), values.max()
    if log_from is not None and 0 < log_from * low < high:
        ax.set_yscale("log")
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.set_ylim(low / 1.3, high * 1.3)
    else:
        margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
        ax.set_ylim(low - margin, high + margin)
