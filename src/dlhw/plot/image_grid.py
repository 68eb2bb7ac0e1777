"""Images with what was predicted for them: samples, and the most confident mistakes."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw.plot import style
from dlhw.plot.run_folder import RunFolder
from dlhw.plot.sheet import Sheet, columns_for, new_sheet, pixels

MOST_IMAGES, PER_ROW = 40, 8
IMAGE, GAP, CAPTION = 1.25, 0.2, 0.36  # inches


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
    if not examples:
        return None
    columns = columns_for(len(examples), PER_ROW, at_least=4, wide=1.6)
    rows = math.ceil(len(examples) / columns)
    grid_width, grid_height = columns * (IMAGE + GAP) - GAP, rows * (IMAGE + CAPTION + GAP)
    sheet = new_sheet(grid_width + 2 * GAP, grid_height, title, f"test, {run.weights}; {note}", run.name)
    for index, example in enumerate(examples):
        row, column = divmod(index, columns)
        left = (sheet.width - grid_width) / 2 + column * (IMAGE + GAP)
        _draw_example(sheet, example, left, row * (IMAGE + CAPTION + GAP))
    return sheet.figure


def _draw_example(sheet: Sheet, example: Example, left: float, down: float) -> None:
    """Right: thin green frame and a tick. Wrong: thick red frame, a cross, and the true class below."""
    frame = sheet.fit(pixels(example.image), left, down, IMAGE, vmin=0, vmax=255)
    colour = style.RIGHT if example.right else style.WRONG
    frame.set(fill=False, edgecolor=colour, linewidth=1.2 if example.right else 2.4)
    sheet.ax.add_patch(frame)
    sure = "" if example.probability is None else f" {100 * example.probability:.0f}%"
    lines = [f"{'✓' if example.right else '✗'} {style.shorten(example.predicted, 17 - len(sure))}{sure}"]
    if not example.right:
        lines.append(f"true: {style.shorten(example.true, 14)}")
    for line, text in enumerate(lines):
        look = style.plain(style.SMALL - 0.5) if line else style.plain(style.SMALL - 0.5, colour, "bold")
        sheet.text(left + IMAGE / 2, down + IMAGE + 0.05 + 0.16 * line, text, look)
