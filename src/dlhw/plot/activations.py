"""How each layer's activations are spread, at the start and at the end."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlhw.plot import style
from dlhw.plot.run_folder import Floats, RunFolder

MOST, PER_ROW = 16, 4
WIDE, HIGH, GAP_X, GAP_Y = 1.95, 1.25, 0.3, 0.72  # inches
CUT = 3.0  # a bar so many times as high as the next one that is far from it is cut off
LOOKS = {
    "before": ("at the start", style.VERMILION, "--", 0.25),
    "after": ("at the end", style.BLUE, "-", 0.35),
}


def draw_activations(run: RunFolder) -> Figure | None:
    """A panel a layer, in the order of the forward pass; of many layers 16, evenly chosen."""
    names = [str(name) for name in run.arrays.get("activation_names", ())]
    spreads = {moment: spread for moment in LOOKS if (spread := _spread(run, moment, len(names))) is not None}
    if not names or not spreads:
        return None
    layers = np.unique(np.linspace(0, len(names) - 1, min(MOST, len(names))).round().astype(int))
    rows = math.ceil(len(layers) / PER_ROW)
    columns = math.ceil(len(layers) / rows)
    left, right, top, bottom = 0.6, 0.25, 0.95, 0.85
    width = max(columns * (WIDE + GAP_X) - GAP_X + left + right, 6.8)
    height = rows * (HIGH + GAP_Y) - GAP_Y + top + bottom
    figure = style.new_figure(width, height, "Activations of each layer", run.name)
    figure.set_layout_engine("none")
    height = figure.get_figheight()
    figure.suptitle(figure.get_suptitle(), y=1 - 0.1 / height, va="top", **style.plain(style.TITLE, weight="bold"))
    start = (width - left - right - columns * (WIDE + GAP_X) + GAP_X) / 2 + left
    above = height - (rows * (HIGH + GAP_Y) - GAP_Y) - bottom
    axes = []
    for place, layer in enumerate(layers):
        row, column = divmod(place, columns)
        x, y = start + column * (WIDE + GAP_X), height - above - row * (HIGH + GAP_Y) - HIGH
        ax = figure.add_axes((x / width, y / height, WIDE / width, HIGH / height))
        shown = {moment: (edges[layer], counts[layer]) for moment, (edges, counts) in spreads.items()}
        _draw_layer(ax, names[layer], shown)
        axes.append(ax)
    look = style.plain(style.LABEL)
    figure.text(0.5, 0.45 / height, "Activation", ha="center", va="center", **look)
    figure.text(
        (start - 0.3) / width, 1 - (above + (height - above - bottom) / 2) / height, "Relative frequency",
        rotation=90, ha="center", va="center", **look,
    )  # fmt: skip
    some = f"{len(layers)} of {len(names)} layers; " if len(layers) < len(names) else ""
    note = f"{some}at the end: {run.weights}; each histogram to its own height; ↑ a bar cut off, with its share"
    figure.text(0.5, 1 - (above - 0.42) / height, note, ha="center", **style.plain(style.SMALL, style.MUTED))
    style.legend_below(figure, axes)
    return figure


def _spread(run: RunFolder, moment: str, layers: int) -> tuple[Floats, Floats] | None:
    edges, counts = (run.arrays.get(f"activation_{part}_{moment}", np.empty(0)) for part in ("edges", "counts"))
    whole = edges.ndim == counts.ndim == 2 and len(edges) == len(counts) == layers
    if not whole or edges.shape[1] != counts.shape[1] + 1:
        return None
    return edges.astype(float), counts.astype(float)


def _draw_layer(ax: Axes, name: str, shown: dict[str, tuple[Floats, Floats]]) -> None:
    style.dress(ax, grid="x")
    ends, cut = [], []
    for moment, (edges, counts) in shown.items():
        said, colour, line, alpha = LOOKS[moment]
        widths = np.diff(np.nan_to_num(edges, posinf=0.0, neginf=0.0))
        if not np.isfinite(edges).all() or counts.sum() <= 0 or (widths <= 0).any():
            continue
        heights = counts / counts.sum() / widths
        heights /= _top(heights)
        ax.stairs(heights, edges, fill=True, facecolor=colour, alpha=alpha, edgecolor="none")
        ax.stairs(heights, edges, color=colour, linestyle=line, linewidth=1.3, label=said, baseline=None)
        ends += [edges[0], edges[-1]]
        cut.append((heights.max(), edges[heights.argmax() : heights.argmax() + 2].mean(), counts.max() / counts.sum(),
                    colour))  # fmt: skip
    style.caption(ax, style.shorten(name, 30))
    ax.set_yticks([])
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]))
    if not ends:
        ax.set_xticks([])
        ax.text(0.5, 0.5, "no finite values", ha="center", va="center", transform=ax.transAxes,
                **style.plain(style.SMALL, style.MUTED))  # fmt: skip
        return
    high, low_end, high_end = 1.08, min(ends), max(ends)
    ax.set_ylim(0, high)
    ax.set_xlim(low_end, high_end)
    over = [(at, share, colour) for top, at, share, colour in cut if top > high]
    for index, (at, share, colour) in enumerate(over):
        right = at > (low_end + high_end) / 2
        x = (at - low_end) / (high_end - low_end) + (-0.03 if right else 0.03)
        ax.text(x, 0.97 - 0.15 * index, f"↑ {share:.0%}", ha="right" if right else "left", va="top",
                transform=ax.transAxes, **style.plain(style.SMALL - 1, colour, "bold"))  # fmt: skip


def _top(heights: Floats) -> float:
    """The highest bar, unless it (with its neighbours) dwarfs the rest; then what shows the rest."""
    peak = int(heights.argmax())
    rest = np.delete(heights, [index for index in (peak - 1, peak, peak + 1) if 0 <= index < len(heights)])
    second = float(rest.max(initial=0.0))
    return 1.6 * second if second > 0 and heights[peak] > CUT * second else float(heights[peak])
