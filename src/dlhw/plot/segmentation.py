"""A class for each pixel: input, truth, prediction, and where they differ."""

from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from dlhw.plot import style
from dlhw.plot.class_colours import class_colours, is_background
from dlhw.plot.run_folder import Floats, RunFolder
from dlhw.plot.sheet import new_sheet, pixels

MOST_ROWS = 8
IMAGE, GAP, MARGIN, SAID, HEAD, LINE = 1.45, 0.12, 0.3, 1.05, 0.28, 0.2  # inches
COLUMNS = ("Input", "Truth", "Prediction", "Prediction on input", "Wrong pixels")
OVERLAY = 0.6  # how much of an overlaid pixel is its class's colour


def draw_segmentation(run: RunFolder) -> Figure | None:
    """A row an image, its mean IoU over the classes in its truth or prediction on the right, the classes below."""
    none = np.empty(0)
    images, masks, preds = (run.arrays.get(f"sample_{part}", none) for part in ("images", "masks", "mask_preds"))
    if images.ndim != 4 or masks.ndim != 3 or masks.shape != preds.shape or len(images) != len(masks) or not masks.size:
        return None
    images, masks, preds = (array[:MOST_ROWS] for array in (images, masks, preds))
    masks, preds = masks.astype(np.int64), preds.astype(np.int64)
    classes = len(run.arrays.get("classes", ())) or int(max(masks[masks < 255].max(initial=0), preds.max())) + 1
    names = run.class_names(classes)
    present = [index for index in range(classes) if (masks == index).any() or (preds == index).any()]

    labels = [style.shorten(names[index], 24) for index in present]
    width = len(COLUMNS) * (IMAGE + GAP) - GAP + SAID + 2 * MARGIN
    entry = 0.45 + 0.075 * max(map(len, labels), default=1)
    per_line = max(1, int((width - 2 * MARGIN) // entry))
    lines = -(-len(labels) // per_line)
    note = f"test, {run.weights}; IoU: the mean over the classes that an image's truth or prediction holds"
    height = HEAD + len(images) * (IMAGE + GAP) + lines * LINE + 0.15
    sheet = new_sheet(width, height, "Segmentation", note, run.name)
    lefts = [(sheet.width - width) / 2 + MARGIN + column * (IMAGE + GAP) for column in range(len(COLUMNS))]
    for left, column in zip(lefts, COLUMNS, strict=True):
        sheet.text(left + IMAGE / 2, 0.05, column, style.plain(style.LABEL))
    frames = []
    for row, (image, mask, pred) in enumerate(zip(images, masks, preds, strict=True)):
        down = HEAD + row * (IMAGE + GAP)
        counted = (mask >= 0) & (mask < classes)
        for left, picture in zip(lefts, _row(image, mask, pred, names), strict=True):
            frames.append(sheet.fit(picture, left, down, IMAGE))
        wrong = (mask != pred)[counted].mean() if counted.any() else float("nan")
        said = f"IoU {_percent(mean_iou(mask, pred, classes))}\n{_percent(wrong)} wrong"
        at = lefts[-1] + IMAGE + 0.12
        sheet.text(at, down + IMAGE / 2, said, style.plain(style.SMALL + 0.5), ha="left", va="center", linespacing=1.5)
    sheet.frames(frames)
    colours = class_colours(names)
    sheet.figure.legend(
        handles=[Patch(facecolor=tuple(colours[index]), edgecolor=style.MUTED, linewidth=0.5) for index in present],
        labels=labels, loc="lower center", bbox_to_anchor=(0.5, 0.0), ncols=max(1, min(per_line, len(labels))),
        frameon=False, labelcolor=style.INK, fontsize=style.SMALL, prop=_font(), handlelength=1.2, handleheight=1.0,
        columnspacing=1.4, labelspacing=0.3,
    )  # fmt: skip
    return sheet.figure


def mean_iou(mask: NDArray[np.int64], pred: NDArray[np.int64], classes: int) -> float:
    """Over the classes that either holds; pixels whose truth is no class are left out. NaN where none is left."""
    counted = (mask >= 0) & (mask < classes)
    mask, pred = mask[counted], pred[counted]
    both = np.bincount(mask[mask == pred], minlength=classes)[:classes]
    either = np.bincount(mask, minlength=classes)[:classes] + np.bincount(pred, minlength=classes)[:classes] - both
    seen = either > 0
    return float((both[seen] / either[seen]).mean()) if seen.any() else float("nan")


def _row(image: NDArray[Any], mask: NDArray[np.int64], pred: NDArray[np.int64], names: list[str]) -> list[Floats]:
    """One picture a column, all (H, W, 3) in [0, 1]."""
    shown = pixels(image) / 255 if image.dtype == np.uint8 else np.clip(pixels(image), 0, 1)
    shown = np.repeat(shown[..., None], 3, axis=2) if shown.ndim == 2 else shown[..., :3]
    if shown.shape[:2] != mask.shape:
        shown = _resized(shown, mask.shape)
    colours = np.vstack([class_colours(names), [1.0, 1.0, 1.0]])  # the last: pixels whose truth is no class
    known = len(names)
    truth, predicted = (np.where((labels >= 0) & (labels < known), labels, known) for labels in (mask, pred))
    grey = np.repeat(shown.mean(axis=2, keepdims=True), 3, axis=2)
    foreground = np.array([not is_background(name) for name in names] + [False])[predicted][..., None]
    over = np.where(foreground, OVERLAY * colours[predicted] + (1 - OVERLAY) * grey, grey)
    wrong = ((truth != predicted) & (truth != known))[..., None]
    return [
        shown,
        colours[truth],
        colours[predicted],
        over,
        np.where(wrong, to_rgb(style.VERMILION), 0.45 * grey + 0.5),
    ]


def _resized(image: Floats, shape: tuple[int, ...]) -> Floats:
    """The nearest pixels, for an input that is not of its mask's size."""
    rows, columns = (
        np.minimum(np.arange(to) * of // to, of - 1) for to, of in zip(shape, image.shape[:2], strict=True)
    )
    resized: Floats = image[rows][:, columns]
    return resized


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%" if np.isfinite(share) else "none"


def _font() -> dict[str, Any]:
    look = style.plain(style.SMALL)
    return {"family": look["family"], "size": look["fontsize"]}
