"""Images with what was predicted for them: samples, and the most confident mistakes."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from dlhw.plot import style
from dlhw.plot.run_folder import RunFolder

MOST_IMAGES, PER_ROW = 40, 8
IMAGE, GAP, CAPTION, HEAD, LEAST_WIDTH = 1.25, 0.2, 0.36, 0.7, 4.6  # inches


@dataclass(frozen=True)
class Example:
    image: NDArray[np.uint8]  # (C, H, W)
    true: str
    predicted: str
    right: bool
    probability: float | None


def draw_predictions(run: RunFolder) -> Figure | None:
    examples = read_examples(run, "sample")
    right = sum(example.right for example in examples)
    return _draw_grid(examples, "Predictions", f"✓ right: {right}, ✗ wrong: {len(examples) - right}", run)


def draw_mistakes(run: RunFolder) -> Figure | None:
    examples = read_examples(run, "mistake")
    return _draw_grid(examples, "Mistakes", "wrong with the highest probability first", run)


def read_examples(run: RunFolder, kind: Literal["sample", "mistake"]) -> list[Example]:
    """Empty where the folder holds no images of one class each (masks, values and sequences are not drawn here)."""
    none = np.empty(0)
    images, targets, preds, probs = (
        run.arrays.get(f"{kind}_{part}", none) for part in ("images", "targets", "preds", "probs")
    )
    one_class_each = targets.ndim == preds.ndim == 1 and len(images) == len(targets) == len(preds)
    if images.ndim != 4 or not one_class_each:
        return []
    highest = int(max(targets.max(initial=0), preds.max(initial=0)))
    names = run.class_names(max(len(run.arrays.get("classes", ())), highest + 1))
    known = len(probs) == len(images)
    probs = probs if known else np.zeros(len(images))
    return [
        Example(image, names[target], names[pred], bool(target == pred), float(prob) if known else None)
        for image, target, pred, prob in zip(images, targets, preds, probs, strict=True)
    ][:MOST_IMAGES]


def _draw_grid(examples: list[Example], title: str, note: str, run: RunFolder) -> Figure | None:
    """One pair of axes measured in inches holds every image: a pair for each would take ten times as long."""
    if not examples:
        return None
    columns = min(len(examples), PER_ROW, max(4, math.ceil(math.sqrt(1.6 * len(examples)))))
    rows = math.ceil(len(examples) / columns)
    grid_width, grid_height = columns * (IMAGE + GAP) - GAP, rows * (IMAGE + CAPTION + GAP)
    width = max(grid_width + 2 * GAP, LEAST_WIDTH)
    figure = style.new_figure(width, grid_height + HEAD, title, run.name)
    figure.set_layout_engine("none")
    height = figure.get_figheight()
    figure.suptitle(figure.get_suptitle(), y=1 - 0.1 / height, va="top", **style.plain(style.TITLE, weight="bold"))
    ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    ax.set_axis_off()
    note = f"test, {run.weights}; {note}"
    ax.text(width / 2, grid_height + 0.18, note, ha="center", va="center", **style.plain(style.SMALL, style.MUTED))
    for index, example in enumerate(examples):
        row, column = divmod(index, columns)
        left = (width - grid_width) / 2 + column * (IMAGE + GAP)
        _draw_example(ax, example, left, grid_height - row * (IMAGE + CAPTION + GAP))
    ax.set(xlim=(0, width), ylim=(0, height), aspect="auto")
    return figure


def _draw_example(ax: Axes, example: Example, left: float, top: float) -> None:
    """Right: thin green frame and a tick. Wrong: thick red frame, a cross, and the true class below."""
    high, wide = example.image.shape[1:]
    scale = IMAGE / max(high, wide)
    x, y = left + (IMAGE - wide * scale) / 2, top - IMAGE
    ax.imshow(
        pixels(example.image), cmap="gray", vmin=0, vmax=255, extent=(x, x + wide * scale, y, y + high * scale),
        origin="upper", interpolation="antialiased", aspect="auto",
    )  # fmt: skip
    colour = style.RIGHT if example.right else style.WRONG
    thick = 1.2 if example.right else 2.4
    ax.add_patch(Rectangle((x, y), wide * scale, high * scale, fill=False, edgecolor=colour, linewidth=thick))
    sure = "" if example.probability is None else f" {100 * example.probability:.0f}%"
    lines = [f"{'✓' if example.right else '✗'} {style.shorten(example.predicted, 17 - len(sure))}{sure}"]
    if not example.right:
        lines.append(f"true: {style.shorten(example.true, 14)}")
    for line, text in enumerate(lines):
        look = style.plain(style.SMALL - 0.5) if line else style.plain(style.SMALL - 0.5, colour, "bold")
        ax.text(left + IMAGE / 2, top - IMAGE - 0.05 - 0.16 * line, text, ha="center", va="top", **look)


def pixels(image: NDArray[Any]) -> NDArray[Any]:
    """(C, H, W) to what imshow takes: (H, W, 3 or 4) in colour; any other number of channels is averaged to grey."""
    return image.transpose(1, 2, 0) if len(image) in (3, 4) else image.mean(axis=0)
