"""A regression's outputs against their targets."""

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from dlhw.plot import style
from dlhw.plot.run_folder import Floats, RunFolder

FEW_POINTS, FEW_TARGETS, BINS = 1500, 20, 60  # from how many on points are counted; the most targets with a column each


def draw_targets_and_outputs(run: RunFolder) -> Figure | None:
    """Points while they are few, counts in boxes from then on; targets that are few whole numbers get a column each."""
    none = np.empty(0)
    targets, outputs = (run.arrays.get(f"{part}_values", none).astype(float).ravel() for part in ("target", "output"))
    finite = np.isfinite(targets) & np.isfinite(outputs) if len(targets) == len(outputs) else np.zeros(0, bool)
    if not finite.any():
        return None
    lost = int((~finite).sum())
    targets, outputs = targets[finite], outputs[finite]
    whole = bool((targets == np.round(targets)).all()) and len(np.unique(targets)) <= FEW_TARGETS
    figure = style.new_figure(6.6, 5.8, "Targets and outputs", run.name)
    figure.set_layout_engine("compressed")
    ax = figure.add_subplot()
    style.dress(ax)
    style.label_axes(ax, "Target", "Output")
    low, high, beyond = _range(targets, outputs)
    if len(targets) > FEW_POINTS:
        _draw_counts(figure, ax, targets, outputs, whole, (low, high))
    else:
        ax.plot(targets, outputs, linestyle="none", marker="o", markersize=4, color=style.BLUE, markeredgewidth=0,
                alpha=0.7 if len(targets) < 100 else 0.3, label="an example")  # fmt: skip
    ax.plot([low, high], [low, high], color=style.VERMILION, linewidth=1.3, linestyle="--", marker="",
            label="output = target")  # fmt: skip
    if whole:
        for offset, label in ((-0.5, "within: rounds to the target"), (0.5, "_")):
            ax.plot([low, high], [low + offset, high + offset], color=style.MUTED, linewidth=0.9, linestyle=":",
                    marker="", label=label)  # fmt: skip
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    style.caption(ax, _caption(run, targets, outputs, whole, lost, beyond))
    same: dict[str, Any] = {"nbins": 8, "steps": [1, 2, 2.5, 5, 10], "integer": whole}
    kinds = np.unique(targets).tolist()
    ax.xaxis.set_major_locator(FixedLocator(kinds) if whole else MaxNLocator(**same))
    ax.yaxis.set_major_locator(FixedLocator(kinds) if whole else MaxNLocator(**same))
    style.legend_below(figure, [ax])
    return figure


def _range(targets: Floats, outputs: Floats) -> tuple[float, float, int]:
    """Common to both axes; a few wild outputs do not squeeze the rest. With the number of outputs beyond it."""
    ends = [targets.min(), targets.max(), *np.quantile(outputs, [0.001, 0.999] if len(outputs) > 500 else [0, 1])]
    low, high = float(min(ends)), float(max(ends))
    margin = max(0.05 * (high - low), 0.7 if high - low >= 1 and (targets == np.round(targets)).all() else 0.0) or 0.5
    low, high = low - margin, high + margin
    return low, high, int(((outputs < low) | (outputs > high)).sum())


def _draw_counts(
    figure: Figure, ax: Axes, targets: Floats, outputs: Floats, whole: bool, ends: tuple[float, float]
) -> None:
    rows = np.linspace(*ends, BINS + 1)
    columns = rows
    if whole:
        kinds = np.unique(targets)
        columns = np.sort(np.concatenate([kinds - 0.38, kinds + 0.38]))
    counts = np.histogram2d(targets, outputs, (columns, rows))[0].T
    image = ax.pcolormesh(
        columns, rows, np.ma.masked_equal(counts, 0), cmap=colormaps["viridis_r"], norm=LogNorm(1, max(counts.max(), 2))
    )
    bar = figure.colorbar(image, ax=ax, fraction=0.05, pad=0.02, aspect=25)
    bar.ax.tick_params(which="both", labelsize=style.SMALL, colors=style.MUTED, labelcolor=style.INK, direction="out")
    bar.set_label("Examples in a box", **style.plain(style.LABEL))
    bar.outline.set(edgecolor=style.MUTED, linewidth=0.8)


def _caption(run: RunFolder, targets: Floats, outputs: Floats, whole: bool, lost: int, beyond: int) -> str:
    errors = outputs - targets
    said = [f"test, {run.weights}: {len(targets):,} examples"]
    said.append(f"MAE {np.abs(errors).mean():.4g}, RMSE {np.sqrt((errors**2).mean()):.4g}")
    if whole:
        kinds = np.unique(targets)
        said.append(f"{(np.clip(np.round(outputs), kinds[0], kinds[-1]) == targets).mean():.2%} right when rounded")
    elif targets.var() > 0:
        said.append(f"R² {1 - (errors**2).mean() / targets.var():.4f}")
    aside = [f"{beyond:,} beyond the frame"] if beyond else []
    aside += [f"{lost:,} not finite"] if lost else []
    return "; ".join(said[:1]) + "\n" + "; ".join(said[1:] + aside)
