"""How every picture looks. All of it is set on the figure itself, nothing in rcParams and nothing by pyplot:
a notebook's dark theme does not leak in, ours does not leak out, and threads do not meet."""

import textwrap
from functools import cache
from typing import Any, Literal

from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

DPI = 150
TITLE, LABEL, SMALL = 12.0, 10.0, 8.5  # points
TITLE_LINE = 1.25 * TITLE / 72  # inches
INK, MUTED, GRID, EMPTY = "#222222", "#666666", "#dddddd", "#eeeeee"

# Okabe and Ito's palette, told apart with any kind of colour vision; line and marker differ as well.
BLUE, ORANGE, GREEN, VERMILION = "#0072b2", "#e69f00", "#009e73", "#d55e00"
SPLIT_COLOURS = {"train": BLUE, "val": VERMILION, "test": GREEN}
SPLIT_LINES = {"train": "-", "val": "--", "test": "-."}
SPLIT_MARKERS = {"train": "o", "val": "s", "test": "^"}
RIGHT, WRONG = GREEN, VERMILION

# Asked for only where installed, for class names that DejaVu has no glyphs for.
CJK = ("Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo", "AppleGothic")


def plain(size: float, colour: str = INK, weight: str = "normal") -> dict[str, Any]:
    """Properties of any text of ours. Names of runs and classes are people's own: a `$` in them is a dollar."""
    return {"fontsize": size, "color": colour, "fontweight": weight, "family": _families(), "parse_math": False}


@cache
def _families() -> list[str]:
    """DejaVu Sans, which comes with matplotlib, then what this machine has for Korean."""
    installed = set(font_manager.fontManager.get_font_names())
    return ["DejaVu Sans", *(name for name in CJK if name in installed)]


def new_figure(width: float, height: float, title: str, name: str) -> Figure:
    """White, titled `<title> · <name of the run>`; a title of several lines adds its own height to that of one line."""
    room = int(width * 72 / (TITLE * 0.64))
    lines = [f"{title} · {shorten(name, 2 * room)}"]
    if len(lines[0]) > room:
        lines = [title, *textwrap.wrap(shorten(name, 2 * room), room)]
    size = (width, height + (len(lines) - 1) * TITLE_LINE)
    figure = Figure(figsize=size, dpi=DPI, facecolor="white", edgecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle("\n".join(lines), **plain(TITLE, weight="bold"))
    return figure


def dress(ax: Axes, grid: Literal["both", "x", "y"] | None = "both") -> None:
    """Colours, sizes, frame and grid of one pair of axes."""
    ax.set_facecolor("white")
    ax.set_axisbelow(True)
    for side, spine in ax.spines.items():
        spine.set(color=MUTED, linewidth=0.8, visible=side in ("left", "bottom"))
    ax.tick_params(which="both", colors=MUTED, labelcolor=INK, labelsize=SMALL, direction="out", top=False, right=False)
    ax.tick_params(which="both", labelfontfamily="DejaVu Sans")
    ax.grid(False, which="both")
    if grid is not None:
        ax.grid(True, which="major", axis=grid, color=GRID, linewidth=0.6, linestyle="-", alpha=1.0)


def label_axes(ax: Axes, x: str, y: str) -> None:
    ax.set_xlabel(x, **plain(LABEL))
    ax.set_ylabel(y, **plain(LABEL))


def caption(ax: Axes, text: str) -> Text:
    """One quiet line above the axes: what would overlap the data if it stood among them."""
    return ax.set_title(text, loc="left", y=1.0, pad=5.0, **plain(SMALL, MUTED))


def legend_below(figure: Figure, axes: list[Axes]) -> Legend:
    """One legend for all axes, each label once, under the plots where it covers nothing."""
    entries: dict[str, Artist] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    legend: Legend = figure.legend(
        handles=list(entries.values()), labels=list(entries), loc="outside lower center", ncols=max(len(entries), 1),
        frameon=False, labelcolor=INK, prop={"family": "DejaVu Sans", "size": SMALL}, numpoints=1,
    )  # fmt: skip
    return legend


def shorten(text: str, room: int) -> str:
    """At most `room` characters, a box for each that no font at hand can draw.

    The middle goes, since long names of classes differ at either end."""
    text = "".join(character if ord(character) in _drawable() else "□" for character in " ".join(text.split()))
    if len(text) <= room:
        return text
    tail = (room - 1) // 2
    return f"{text[: room - 1 - tail].rstrip()}…{text[len(text) - tail :].lstrip()}"


@cache
def _drawable() -> frozenset[int]:
    paths = [font_manager.findfont(family) for family in _families()]
    return frozenset().union(*(font_manager.get_font(path).get_charmap() for path in paths))
