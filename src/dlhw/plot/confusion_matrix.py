"""Which class was taken for which."""

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from dlhw.plot import style
from dlhw.plot.run_folder import Floats, RunFolder

COUNTS_AND_PERCENT, COUNTS = 10, 20  # the most classes whose cells hold both, and the most whose cells hold the count
LABELLED = 100  # with more classes than this only some are named


def draw_confusion_matrix(run: RunFolder) -> Figure | None:
    """Rows are true classes, and a cell's colour is its share of the row (a root scale, so that rare mistakes show)."""
    counts = confusion_counts(run)
    if counts is None:
        return None
    classes = [style.shorten(name, 22) for name in run.class_names(len(counts))]
    side = float(np.clip(0.55 * len(classes), 3.0, max(5.5, min(0.4 * len(classes), 9.0))))
    names = 0.075 * max(map(len, classes))  # inches, about
    figure = style.new_figure(side + names + 1.9, side + 0.8 * names + 1.3, "Confusion matrix", run.name)
    figure.set_layout_engine("compressed")
    ax = figure.add_subplot()
    style.dress(ax, grid=None)
    style.label_axes(ax, "Predicted class", "True class")
    shares = row_shares(counts)
    norm = PowerNorm(0.5, vmin=0.0, vmax=1.0)
    colours = colormaps["Blues"].with_extremes(bad=style.EMPTY)
    image = ax.imshow(
        np.ma.masked_invalid(shares), cmap=colours, norm=norm, aspect="equal", origin="upper", interpolation="nearest"
    )
    _name_classes(ax, classes, side)
    _write_cells(ax, counts, shares, side)
    unit = " pixels" if run.counts_pixels else ""
    right, total = int(np.trace(counts)), int(counts.sum())
    style.caption(ax, f"test, {run.weights}: {right:,} of {total:,}{unit} right ({right / total:.2%})")
    bar = figure.colorbar(image, ax=ax, fraction=0.05, pad=0.02, aspect=25, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1])
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    bar.ax.tick_params(labelsize=style.SMALL, colors=style.MUTED, labelcolor=style.INK, direction="out")
    bar.set_label("Share of the true class", **style.plain(style.LABEL))
    bar.outline.set(edgecolor=style.MUTED, linewidth=0.8)
    return figure


def confusion_counts(run: RunFolder) -> NDArray[np.int64] | None:
    """(K, K) with at least one count, else None."""
    counts = run.arrays.get("confusion")
    if counts is None or counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.sum() == 0:
        return None
    return counts.astype(np.int64)


def row_shares(counts: NDArray[np.int64]) -> Floats:
    """Each row divided by its sum; NaN in the rows of classes without examples."""
    shares = np.full(counts.shape, np.nan)
    sums = counts.sum(axis=1, keepdims=True)
    np.divide(counts, sums, out=shares, where=sums > 0)
    return shares


def short_count(count: int) -> str:
    """Whole up to 99,999, then with k, M or G: pixels are counted in millions."""
    if count < 100_000:
        return str(count)
    power = min((len(str(count)) - 1) // 3, 3)
    value = count / 1000**power
    return f"{value:.0f}{' kMG'[power]}" if value >= 100 else f"{value:.3g}{' kMG'[power]}"


def _name_classes(ax: Axes, classes: list[str], side: float) -> None:
    every = -(-len(classes) // LABELLED)
    ticks = list(range(0, len(classes), every))
    labels = [classes[tick] for tick in ticks]
    cell = 72 * side / len(classes)
    size = min(style.SMALL, 0.8 * cell * every)
    flat = max(map(len, labels)) * 0.65 * size < 0.95 * cell * every
    slant = 0 if flat else 45 if len(classes) <= COUNTS else 90
    ax.set_xticks(ticks)
    ax.set_yticks(ticks)
    across = "center" if flat else "right"
    down = "center" if slant == 90 else "top"
    ax.set_xticklabels(labels, rotation=slant, rotation_mode="anchor", ha=across, va=down, **style.plain(size))
    ax.set_yticklabels(labels, **style.plain(size))
    for spine in ax.spines.values():
        spine.set_visible(True)


def _write_cells(ax: Axes, counts: NDArray[np.int64], shares: Floats, side: float) -> None:
    if len(counts) > COUNTS:
        return
    cell = 72 * side / len(counts)
    longest = max(len(short_count(int(count))) for count in counts.flat)
    both = len(counts) <= COUNTS_AND_PERCENT
    size = min(10.0, 0.9 * cell / (0.65 * max(longest, 5 if both else 1)), (0.3 if both else 0.45) * cell)
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        text = short_count(int(count)) + (f"\n{share:.1%}" if both and count else "")
        colour = "white" if share > 0.3 else style.INK if count else "#aaaaaa"
        cell_text = ax.text(column, row, text, ha="center", va="center", linespacing=1.1, **style.plain(size, colour))
        cell_text.set_in_layout(False)
