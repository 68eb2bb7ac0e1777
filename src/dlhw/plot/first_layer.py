"""What the first layer looks for: its filters, or rows of weights shaped as images, before and after training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from dlhw.plot import style
from dlhw.plot.run_folder import RunFolder
from dlhw.plot.sheet import Sheet, columns_for, montage, new_sheet

MOST = 64
CELL, FEW_CELL, LEAST_CELL = 68, 110, 40  # dots: a filter's longer side among many, among few, and at least
GAP, BETWEEN, MARGIN, HEAD, BAR = 6 / style.DPI, 0.5, 0.3, 0.3, 0.62  # inches
WITHIN = 0.995  # share of the weights that a grey scale reaches
ALIKE = 3.0  # two scales closer than this factor become one


@dataclass(frozen=True)
class Side:
    """All filters of one moment. `limit` is None in colour, where each filter has a scale of its own."""

    said: str
    pictures: NDArray[Any]  # (n, H, W) weights, or (n, H, W, 3) in [0, 1]
    limit: float | None


def draw_first_layer(run: RunFolder) -> Figure | None:
    """One colour channel in grey, three in colour, the mean of any other number in grey; zero is the middle grey."""
    before, after = (run.arrays.get(f"first_layer_{moment}", np.empty(0)) for moment in ("before", "after"))
    if before.ndim != 4 or before.shape != after.shape or not before.size:
        return None
    in_colour = before.shape[1] == 3
    limits = [None, None] if in_colour else _limits(before, after)
    sides = [
        Side(f"{moment} (standard deviation {_spread(weights):.3g})", _pictures(weights[:MOST], in_colour), limit)
        for moment, weights, limit in zip(("Before", "After"), (before, after), limits, strict=True)
    ]
    return _draw_sides(sides, _note(before.shape, in_colour, after, run), run)


def _draw_sides(sides: list[Side], note: str, run: RunFolder) -> Figure:
    count, high, wide = sides[0].pictures.shape[:3]
    columns = columns_for(count, wide=1.0 if count > 3 else 3.0)
    rows = -(-count // columns)
    across = max(columns, 3)
    room = FEW_CELL if across <= 4 else CELL
    repeat = max(1, room // max(high, wide))
    dot = min(1.0, room / max(high, wide)) / style.DPI  # inches: below one dot only where a picture must shrink
    gap = max(1, round(GAP / dot))
    grid_wide, grid_high = (dot * (n * (side * repeat + gap) - gap) for n, side in ((columns, wide), (rows, high)))
    side_wide = max(grid_wide, 2.9)
    bar = 0.0 if sides[0].limit is None else BAR
    sheet = new_sheet(
        2 * side_wide + BETWEEN + 2 * MARGIN,
        HEAD + grid_high + bar + 0.12,
        "Filters of the first layer",
        note,
        run.name,
    )
    for index, side in enumerate(sides):
        middle = sheet.width / 2 + (index - 0.5) * (side_wide + BETWEEN)
        sheet.text(middle, 0.02, side.said, style.plain(style.LABEL))
        left = _on_a_dot(middle - grid_wide / 2)
        top = sheet.height - _on_a_dot(sheet.height - HEAD)
        scale: dict[str, Any] = {} if side.limit is None else {"vmin": -side.limit, "vmax": side.limit}
        fill = np.nan if side.limit is not None else 1.0
        picture = montage(side.pictures, columns, repeat, gap, fill)
        look = "nearest" if repeat > 1 else "antialiased"
        sheet.image(picture, left, top, grid_wide, grid_high, interpolation=look, **scale)
        step_x, step_y = (dot * (side_px * repeat + gap) for side_px in (wide, high))
        sheet.frames([
            Rectangle(
                (left + place % columns * step_x, sheet.height - top - place // columns * step_y - step_y + dot * gap),
                step_x - dot * gap, step_y - dot * gap,
            )
            for place in range(count)
        ])  # fmt: skip
        if side.limit is not None:
            _draw_bar(sheet, middle, HEAD + grid_high + 0.14, side.limit)
    return sheet.figure


def _draw_bar(sheet: Sheet, middle: float, down: float, limit: float) -> None:
    page = sheet.figure.get_figheight()
    place = ((middle - 1.0) / sheet.width, (sheet.height - down - 0.12) / page, 2.0 / sheet.width, 0.12 / page)
    bar = sheet.figure.colorbar(
        ScalarMappable(Normalize(-limit, limit), "gray"), cax=sheet.figure.add_axes(place), orientation="horizontal",
        ticks=[-limit, 0, limit],
    )  # fmt: skip
    bar.ax.set_xticklabels([f"−{limit:.3g}", "0", f"{limit:.3g}"], **style.plain(style.SMALL))
    bar.ax.tick_params(colors=style.MUTED, labelcolor=style.INK, direction="out")
    bar.outline.set(edgecolor=style.MUTED, linewidth=0.8)


def _on_a_dot(inches: float) -> float:
    """Where a picture starts on a whole dot, all of a filter's pixels come out alike."""
    return round(inches * style.DPI) / style.DPI


def _pictures(weights: NDArray[Any], in_colour: bool) -> NDArray[Any]:
    """(n, C, H, W) to (n, H, W) weights, or (n, H, W, 3) in [0, 1] with zero at a half."""
    if not in_colour:
        grey: NDArray[Any] = weights.mean(axis=1, dtype=float)
        return grey
    weights = np.nan_to_num(weights.astype(float), posinf=0.0, neginf=0.0)
    most = np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
    coloured: NDArray[Any] = 0.5 + (weights / np.where(most > 0, 2 * most, 1.0)).transpose(0, 2, 3, 1)
    return coloured


def _limits(before: NDArray[Any], after: NDArray[Any]) -> list[float | None]:
    """Where either scale ends: the same for both where that hides neither."""
    ends = [_limit(_pictures(weights[:MOST], in_colour=False)) for weights in (before, after)]
    return list(ends) if max(ends) > ALIKE * min(ends) else [max(ends), max(ends)]


def _limit(weights: NDArray[Any]) -> float:
    finite = np.abs(weights[np.isfinite(weights)])
    return float(np.quantile(finite, WITHIN) or finite.max() or 1.0) if len(finite) else 1.0


def _spread(weights: NDArray[Any]) -> float:
    finite = weights[np.isfinite(weights)]
    return float(finite.std(dtype=float)) if len(finite) else float("nan")


def _note(shape: tuple[int, ...], in_colour: bool, after: NDArray[Any], run: RunFolder) -> str:
    count, channels, high, wide = shape
    number = f"{count}" if count <= MOST else f"the first {MOST} of {count}"
    note = f"{number} {'filter' if count == 1 else 'filters'} of {high}×{wide} weights; after: {run.weights}\n"
    if in_colour:
        note += "colour: each filter on a scale of its own, its largest weight full, zero middle grey"
    else:
        note += f"grey: zero, white: positive, {WITHIN:.1%} of the weights within the scale" + (
            f"; mean of {channels} channels" if channels > 1 else ""
        )
    broken = int((~np.isfinite(after)).sum())
    return note + (f"; {broken:,} weights are not finite" if broken else "")
