"""Pictures of what the benchmarks left: every comparison at a glance, and how time scales.

benchmarks.png: on the left how many times as fast as the other way, on the right the share of what is possible. Points
are medians, whose numbers stand at the right; bars reach from quartile to quartile; ticks stand for what was wanted.
scaling.png: seconds as measured, and the ideal line, on logarithmic axes. Parts without figures are left out.

    python benchmarks/plot.py [--results benchmarks/results] [--output docs/images]
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from measure import RESULTS, Spread

from dlhw.plot.png import write_png
from dlhw.plot.style import BLUE, MUTED, SMALL, VERMILION, caption, dress, label_axes, legend_below, new_figure, plain

IMAGES = Path(__file__).parents[1] / "docs" / "images"
DEVICES = {"": "", "_cuda": " (GPU)"}
FASTER = {  # part: the columns of the ratio and of what was wanted, and what the rows are called
    "training_loop": ("engine / homework", "wanted", "training, {}: over the homework"),
    "evaluation": ("engine / homework", None, "evaluation, {}: over the homework"),
    "sweep": ("sweep / homework", "wanted on 4 cores", "sweep, {}: over the homework"),
    "lanes": ("lanes / alone", None, "runs as lanes, {}: over one by one"),
    "lightning_loop": ("engine / lightning", None, "training, {}: over Lightning"),
    "numpy_conv": ("plain / numpy_nn", None, "NumPy conv, {}: over course code"),
}
POSSIBLE = {
    "training_loop": ("engine / limit", "wanted of the limit", "training, {}: of the bare steps"),
    "evaluation": ("engine / limit", None, "evaluation, {}: of bare forwards"),
    "large_nets": ("of mm", None, "{}: of torch.mm"),
}
BESIDE: dict[str, Any] = {"textcoords": "offset points", "va": "center", "annotation_clip": False}
AXES = {"images": "images", "width": "hidden units", "runs": "runs of a sweep", "workers": "runs at once"}


@dataclass
class Point:
    """One comparison."""

    label: str
    spread: Spread
    wanted: float | None


def results(folder: Path, part: str) -> dict[str, Any]:
    path = folder / f"{part}.json"
    content: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"rows": []}
    return content


def points(folder: Path, parts: dict[str, tuple[str, str | None, str]]) -> list[Point]:
    found = []
    for part, (column, wanted, label) in parts.items():
        for suffix, device in DEVICES.items():
            for row in results(folder, part + suffix)["rows"]:
                if pictured(part, row):
                    name = label.format(str(next(iter(row.values()))).removeprefix("these of ")) + device
                    found.append(Point(name, Spread(**row[column]), row.get(wanted)))
    return found


def pictured(part: str, row: dict[str, Any]) -> bool:
    """Of the convolutions the sums, of the large nets what dlhw chooses by itself."""
    if part == "large_nets":
        return row["dlhw's auto"] is not None
    return part != "numpy_conv" or row["layer"].startswith("these of ")


def draw_points(ax: Axes, found: list[Point], x: str) -> None:
    places = range(len(found), 0, -1)
    for place, point in zip(places, found, strict=True):
        spread = point.spread
        ax.plot([spread.low, spread.high], [place, place], color=BLUE, linewidth=2)
        ax.plot(spread.median, place, "o", color=BLUE, label="measured")
        ax.annotate(f"{spread.median:.2f}", (1, place), (4, 0), ("axes fraction", "data"), **BESIDE, **plain(SMALL))
        if point.wanted is not None:
            ax.plot(point.wanted, place, "|", color=VERMILION, markersize=13, markeredgewidth=2, label="wanted")
    ax.axvline(1, color=MUTED, linewidth=0.8)
    ax.set_yticks(list(places), [point.label for point in found])
    ax.set_ylim(0.4, len(found) + 0.8)
    dress(ax, "x")
    ax.set_xlabel(x, **plain(SMALL))


def summary(folder: Path) -> Figure | None:
    faster, possible = points(folder, FASTER), points(folder, POSSIBLE)
    if not faster or not possible:
        return None
    height = 1.6 + 0.36 * max(len(faster), len(possible))
    figure = new_figure(12.5, height, "dlhw beside others", results(folder, "training_loop").get("machine", ""))
    left, right = figure.subplots(1, 2)
    draw_points(left, faster, "times as fast")
    logarithmic(left, "x", (0.2, 0.5, 1, 2, 3, 5, 10, 20, 30, 50, 100))
    draw_points(right, possible, "share")
    right.set_xlim(left=0)
    legend_below(figure, [left, right])
    return figure


def logarithmic(ax: Axes, which: str, ticks: tuple[float, ...] | None = None) -> None:
    """Plain numbers at the ticks."""
    getattr(ax, f"set_{which}scale")("log")
    axis = getattr(ax, f"{which}axis")
    if ticks is not None:
        low, high = getattr(ax, f"get_{which}lim")()
        axis.set_ticks([tick for tick in ticks if low <= tick <= high])
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def scaling(folder: Path) -> Figure | None:
    content = results(folder, "scaling")
    if not content["rows"]:
        return None
    figure = new_figure(9.5, 7, "How time scales", content["machine"])
    axes = figure.subplots(2, 2).flat
    for ax, (axis, label) in zip(axes, AXES.items(), strict=True):
        draw_scaling(ax, [row for row in content["rows"] if row["axis"] == axis], label)
    legend_below(figure, list(figure.axes))
    return figure


def draw_scaling(ax: Axes, rows: list[dict[str, Any]], label: str) -> None:
    at = [row["at"] for row in rows]
    ax.plot(at, [row["ideal"] for row in rows], "--", color=MUTED, label="ideal")
    ax.plot(at, [row["seconds"] for row in rows], "o-", color=BLUE, label="measured")
    label_axes(ax, label, "seconds")
    dress(ax)
    logarithmic(ax, "x", tuple(at))
    logarithmic(ax, "y")
    low, high = ax.get_ylim()
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 10 * low else (1, 1.5, 2, 3, 4, 5, 7)))
    worst = min(rows, key=lambda row: row["ideal / measured"])
    caption(ax, f"{100 * worst['ideal / measured']:.0f}% of the ideal speed at {worst['at']}, the least")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--output", type=Path, default=IMAGES)
    args = parser.parse_args()
    for name, figure in (("benchmarks", summary(args.results)), ("scaling", scaling(args.results))):
        if figure is None:
            print(f"plot: no figures yet for {name}.png")
        else:
            write_png(figure, args.output / f"{name}.png")
            print(f"{args.output / name}.png written")


if __name__ == "__main__":
    main()
