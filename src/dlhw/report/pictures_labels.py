"""Names beside dots, none over another."""

from collections.abc import Sequence
from itertools import product

from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from dlhw.plot import style

NEAR, FAR = 7.0, (18.0, 32.0, 48.0, 66.0)  # points
LEADER = {"arrowstyle": "-", "color": style.MUTED, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}

Cross = tuple[float, float, float, float]


def place_labels(ax: Axes, crosses: Sequence[Cross], names: Sequence[str]) -> list[Annotation]:
    """Each beside its dot where that is free, else further off at the end of a thin line, over bars if need be; none
    where nothing is free.

    crosses: a dot's x and y and how far its bars reach either way. Call it last: limits and layout have to stand."""
    figure = ax.figure
    figure.draw_without_rendering()  # type: ignore[union-attr]
    boxes = [_boxes(ax, cross) for cross in crosses]
    taken, bars = [dot for dot, *_ in boxes], [bar for _, *both in boxes for bar in both]
    placed = []
    for (x, y, _, _), name in sorted(zip(crosses, names, strict=True), key=lambda dot: -dot[0][1]):
        for avoided, offset in product((bars, []), _offsets()):
            label = _annotate(ax, x, y, name, offset)
            box = label.get_window_extent()
            if not _free(box.padded(1.5), ax.bbox, [*taken, *avoided]):
                label.remove()
                continue
            taken.append(box)
            placed.append(label)
            break
    return placed


def _boxes(ax: Axes, cross: Cross) -> list[Bbox]:
    """What dot and bars cover, in pixels."""
    x, y, wide, high = cross
    at, (left, low), (right, top) = ax.transData.transform([(x, y), (x - wide, y - high), (x + wide, y + high)])
    dot = Bbox.from_bounds(at[0] - 6, at[1] - 6, 12, 12)
    return [dot, Bbox([[left, at[1] - 1], [right, at[1] + 1]]), Bbox([[at[0] - 1, low], [at[0] + 1, top]])]


def _offsets() -> list[tuple[float, float]]:
    near = [(NEAR, 0.0), (-NEAR, 0.0), *product((4.0, -4.0), (4.0, -4.0)), (0.0, NEAR), (0.0, -NEAR)]
    far = [(right * away, up * away) for away, up, right in product(FAR, (1, -1), (1, -1, 0))]
    return near + far


def _annotate(ax: Axes, x: float, y: float, name: str, offset: tuple[float, float]) -> Annotation:
    right, up = offset
    far = abs(right) + abs(up) > 8
    label = ax.annotate(
        name, (x, y), xytext=offset, textcoords="offset points", zorder=5,
        ha="center" if right == 0 else "left" if right > 0 else "right",
        va="center" if up == 0 else "bottom" if up > 0 else "top",
        arrowprops=LEADER if far else None,
        **style.plain(style.SMALL),
    )  # fmt: skip
    label.set_in_layout(False)
    return label


def _free(box: Bbox, inside: Bbox, taken: Sequence[Bbox]) -> bool:
    fits = inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
    return fits and not any(box.overlaps(other) for other in taken)
