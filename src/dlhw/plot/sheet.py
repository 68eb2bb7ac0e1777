"""A page measured in inches, with pictures and text anywhere on it.

One pair of axes holds everything: a pair for each picture would take ten times as long."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.typing import NDArray

from dlhw.plot import style

HEAD, NOTE_LINE = 0.7, 0.17  # inches: title and a line of note, and what each further line takes
LEAST_WIDTH = 4.6


@dataclass(frozen=True)
class Sheet:
    """`height` is that of the part under title and note; places on it are told from the left and from its top."""

    figure: Figure
    ax: Axes
    width: float
    height: float

    def image(
        self, picture: NDArray[Any], left: float, down: float, wide: float, high: float,
        vmin: float | None = None, vmax: float | None = None, **look: Any,
    ) -> AxesImage:  # fmt: skip
        """`picture` is what imshow takes, which would set the view anew for each; its upper left corner comes to
        (left, down)."""
        bottom = self.height - down - high
        look = {"cmap": "gray", "interpolation": "antialiased"} | look
        image = AxesImage(self.ax, extent=(left, left + wide, bottom, bottom + high), origin="upper", **look)
        image.set_data(picture)
        image.set_clim(vmin, vmax)
        image.set_clip_path(self.ax.patch)
        return self.ax.add_image(image)

    def fit(self, picture: NDArray[Any], left: float, down: float, side: float, **look: Any) -> Rectangle:
        """The picture unstretched in a square of `side`, centred across, on the square's floor; its outline is
        handed back, for a frame."""
        high, wide = picture.shape[:2]
        scale = side / max(high, wide)
        x, y = left + (side - wide * scale) / 2, down + side - high * scale
        self.image(picture, x, y, wide * scale, high * scale, **look)
        return Rectangle((x, self.height - down - side), wide * scale, high * scale)

    def text(self, x: float, down: float, text: str, look: dict[str, Any], **where: Any) -> Text:
        where = {"ha": "center", "va": "top"} | where
        return self.ax.text(x, self.height - down, text, **where, **look)

    def frames(self, outlines: Sequence[Rectangle], colour: str = style.MUTED, thick: float = 0.5) -> None:
        frames = PatchCollection(outlines, facecolor="none", edgecolor=colour, linewidth=thick)
        self.ax.add_collection(frames, autolim=False)


def new_sheet(width: float, height: float, title: str, note: str, name: str) -> Sheet:
    """White, titled as every figure is, with quiet lines of note under the title."""
    width = max(width, LEAST_WIDTH)
    room = int(width * 72 / (style.SMALL * 0.56))
    lines = [line for part in note.split("\n") for line in textwrap.wrap(part, room)]
    figure = style.new_figure(width, height + HEAD + (len(lines) - 1) * NOTE_LINE, title, name)
    figure.set_layout_engine("none")
    total = figure.get_figheight()
    figure.suptitle(figure.get_suptitle(), y=1 - 0.1 / total, va="top", **style.plain(style.TITLE, weight="bold"))
    ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    ax.set_axis_off()
    ax.set(xlim=(0, width), ylim=(0, total))
    sheet = Sheet(figure, ax, width, height)
    for index, line in enumerate(reversed(lines)):
        look = style.plain(style.SMALL, style.MUTED)
        sheet.text(width / 2, -0.18 - index * NOTE_LINE, line, look, va="center")
    return sheet


def pixels(image: NDArray[Any]) -> NDArray[Any]:
    """(C, H, W) to what imshow takes: (H, W, 3 or 4) in colour; any other number of channels is averaged to grey."""
    return image.transpose(1, 2, 0) if len(image) in (3, 4) else image.mean(axis=0)


def montage(pictures: NDArray[Any], columns: int, repeat: int, gap: int, fill: float) -> NDArray[Any]:
    """(n, H, W) or (n, H, W, 3) in one picture, each pixel `repeat` times, `gap` pixels of `fill` between."""
    rows = math.ceil(len(pictures) / columns)
    pictures = pictures.repeat(repeat, axis=1).repeat(repeat, axis=2)
    high, wide = pictures.shape[1:3]
    shape = (rows * (high + gap) - gap, columns * (wide + gap) - gap, *pictures.shape[3:])
    joined = np.full(shape, fill, pictures.dtype)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        down, left = row * (high + gap), column * (wide + gap)
        joined[down : down + high, left : left + wide] = picture
    return joined


def columns_for(count: int, at_most: int = 8, at_least: int = 1, wide: float = 1.0) -> int:
    """Of a grid about `wide` times as wide as high."""
    return min(count, at_most, max(at_least, math.ceil(math.sqrt(wide * count))))
