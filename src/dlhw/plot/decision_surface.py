"""What a net of two inputs answers everywhere, and at the points it was trained on."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from dlhw.plot import style
from dlhw.plot.class_colours import PALETTE, class_colours
from dlhw.plot.run_folder import Floats, RunFolder

TRACE = 4.0  # inches of the loss beside the surface
WRITTEN = 12  # the most points with their target and output beside them
LOW_TO_HIGH = LinearSegmentedColormap.from_list("low to high", [style.BLUE, "#ffffff", style.ORANGE])
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")


def draw_decision_surface(run: RunFolder) -> Figure | None:
    """One output in colours from 0 (blue) to 1 (orange) with the line at a half; classes in a tint each.

    Beside it the loss of each step, with the first below `loss_below` where the run asked for that."""
    none = np.empty(0)
    x, y, values = (run.arrays.get(f"surface_{part}", none) for part in ("x", "y", "values"))
    if values.ndim != 2 or values.shape != (len(y), len(x)) or min(values.shape) < 2:
        return None
    classes = [str(name) for name in run.arrays.get("surface_classes", ())]
    half_x, half_y = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
    extent = tuple(map(float, (x[0] - half_x, x[-1] + half_x, y[0] - half_y, y[-1] + half_y)))
    wide, high = extent[1] - extent[0], extent[3] - extent[2]
    shape = high / wide if 1 / 3 < high / wide < 3 else 1.0
    size = 5.0 / max(shape, 1.0)  # inches across
    traced = len(run.steps.get("loss", none)) > 1
    width = size + (0.9 if classes else 1.9)
    figure = style.new_figure(width + traced * TRACE, size * shape + 1.4, "Decision surface", run.name)
    ax, *beside = figure.subplots(1, 1 + traced, width_ratios=[width, TRACE][: 1 + traced], squeeze=False)[0]
    for trace in beside:
        _draw_loss(trace, run)
    style.dress(ax, grid=None)
    style.label_axes(ax, "First input", "Second input")
    look: dict[str, Any] = {
        "extent": extent, "origin": "lower", "interpolation": "nearest",
        "aspect": "equal" if shape == high / wide else "auto",
    }  # fmt: skip
    if classes:
        ax.imshow(_tints(values, classes), **look)
    else:
        _draw_values(figure, ax, x, y, values.astype(float), look)
    ax.set(xlim=extent[:2], ylim=extent[2:])
    style.caption(ax, f"{run.weights}{_draw_points(ax, run, classes)}")
    if ax.get_legend_handles_labels()[0]:
        style.legend_below(figure, [ax])
    return figure


def _draw_loss(ax: Axes, run: RunFolder) -> None:
    steps, losses = run.steps["step"], run.steps["loss"]
    style.dress(ax)
    style.label_axes(ax, "Step (update of the weights)", "Training loss of the step")
    ax.plot(steps, losses, color=style.BLUE, linewidth=1.2)
    finite = losses[np.isfinite(losses)]
    if len(finite) and 0 < 3 * finite.min() < finite.max():
        ax.set_yscale("log")
        ax.yaxis.set_minor_formatter(NullFormatter())
    below = run.results.get("loss_below") or {}
    if isinstance(threshold := below.get("loss"), int | float):
        ax.axhline(threshold, color=style.MUTED, linewidth=0.9, linestyle=":", marker="")
        first = below.get("step")
        style.caption(ax, f"below {threshold:g}: " + ("never" if first is None else f"first at step {first:,}"))
        if first is not None:
            ax.axvline(first, color=style.VERMILION, linewidth=0.9, linestyle="--", marker="")


def _tints(values: NDArray[Any], classes: list[str]) -> Floats:
    colours = np.vstack([0.45 * class_colours(classes) + 0.55, to_rgb(style.EMPTY)])
    known = np.isfinite(values) & (values >= 0) & (values < len(classes))
    picture: Floats = colours[np.where(known, values, len(classes)).astype(int)]
    return picture


def _draw_values(figure: Figure, ax: Axes, x: Floats, y: Floats, values: Floats, look: dict[str, Any]) -> None:
    image = ax.imshow(
        np.ma.masked_invalid(values), cmap=LOW_TO_HIGH.with_extremes(bad=style.EMPTY), vmin=0.0, vmax=1.0, **look
    )
    finite = values[np.isfinite(values)]
    if len(finite) and finite.min() < 0.5 < finite.max():
        ax.contour(x, y, values, levels=[0.5], colors=[style.INK], linewidths=1.2, linestyles="--")
    low, high = (bool((finite < 0).any()), bool((finite > 1).any())) if len(finite) else (False, False)
    extend = "both" if low and high else "min" if low else "max" if high else "neither"
    bar = figure.colorbar(image, ax=ax, fraction=0.05, pad=0.02, aspect=25, ticks=[0, 0.25, 0.5, 0.75, 1],
                          extend=extend)  # fmt: skip
    bar.ax.axhline(0.5, color=style.INK, linewidth=1.2, linestyle="--", marker="")
    bar.ax.tick_params(labelsize=style.SMALL, colors=style.MUTED, labelcolor=style.INK, direction="out")
    bar.set_label("Output of the net", **style.plain(style.LABEL))
    bar.outline.set(edgecolor=style.MUTED, linewidth=0.8)


def _draw_points(ax: Axes, run: RunFolder, classes: list[str]) -> str:
    """Hands back how many of them come out right, in words."""
    none = np.empty(0)
    points, targets, outputs = (run.arrays.get(key, none) for key in ("points", "point_targets", "point_outputs"))
    if points.ndim != 2 or points.shape[1] != 2 or not len(points) == len(targets) == len(outputs) or not len(points):
        return ""
    targets, outputs = targets.astype(float), outputs.astype(float)
    right = np.abs(outputs - targets) < 0.5
    kinds = np.unique(targets)
    colours = class_colours(classes) if classes else np.array([to_rgb(style.BLUE), to_rgb(style.ORANGE)])
    for index, kind in enumerate(kinds):
        place = round(kind) if classes else index
        colour = tuple(colours[place]) if 0 <= place < len(colours) else to_rgb(PALETTE[index % len(PALETTE)])
        of_kind = targets == kind
        ax.plot(
            points[of_kind, 0], points[of_kind, 1], linestyle="none", marker=MARKERS[index % len(MARKERS)],
            markersize=9 if len(points) <= WRITTEN else 5, markerfacecolor=colour, markeredgecolor=style.INK,
            markeredgewidth=1.0, label=f"target {_named(kind, classes)}", zorder=4,
        )  # fmt: skip
    if len(points) <= WRITTEN:
        _write_targets_and_outputs(ax, points, targets, outputs, right, classes)
    elif not right.all():
        ax.plot(
            points[~right, 0], points[~right, 1], linestyle="none", marker="o", markersize=10, markerfacecolor="none",
            markeredgecolor=style.INK, markeredgewidth=1.5, label="wrong", zorder=5,
        )  # fmt: skip
    return f"; {int(right.sum())} of {len(points)} points right" + ("" if classes else " when rounded")


def _write_targets_and_outputs(
    ax: Axes, points: Floats, targets: Floats, outputs: Floats, right: NDArray[np.bool_], classes: list[str]
) -> None:
    """Above the upper points and below the lower ones, unless the frame is too near."""
    (left, rightmost), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    middle = (points[:, 1].min() + points[:, 1].max()) / 2
    for (x, y), target, output, good in zip(points, targets, outputs, right, strict=True):
        across, up = (x - left) / (rightmost - left), (y - bottom) / (top - bottom)
        above = up < 0.12 or (y >= middle and up < 0.88)
        output_said = _named(output, classes) if classes else f"{output:.3f}".replace("-", "−")
        colour, sign = (style.INK, "✓") if good else (style.VERMILION, "✗")
        ax.annotate(
            f"target {_named(target, classes)}\n{sign} output {output_said}", (x, y),
            xytext=(0, 9 if above else -9), textcoords="offset points", zorder=6,
            ha="left" if across < 0.12 else "right" if across > 0.88 else "center", va="bottom" if above else "top",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 2.0},
            **style.plain(style.SMALL, colour, "normal" if good else "bold"),
        ).set_in_layout(False)  # fmt: skip


def _named(value: float, classes: list[str]) -> str:
    if classes and np.isfinite(value) and 0 <= round(value) < len(classes):
        return style.shorten(classes[round(value)], 18)
    return f"{value:g}"
