"""What each filter of the first layer makes of one image."""

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw.plot import style
from dlhw.plot.run_folder import RunFolder
from dlhw.plot.sheet import columns_for, new_sheet, pixels

MOST = 64
IMAGE, GAP, CAPTION, INPUT = 1.05, 0.16, 0.2, 1.7  # inches


def draw_filter_outputs(run: RunFolder) -> Figure | None:
    """The image on the left, then the outputs, each from black at its lowest to white at its highest value."""
    image, outputs = (run.arrays.get(key, np.empty(0)) for key in ("filter_image", "filter_outputs"))
    if image.ndim != 3 or outputs.ndim != 3 or not image.size or not outputs.size:
        return None
    shown = outputs[:MOST]
    rows = math.ceil(len(shown) / columns_for(len(shown), wide=1.4, at_least=2))
    columns = math.ceil(len(shown) / rows)
    cell_wide, cell_high = IMAGE + GAP, IMAGE + CAPTION + GAP
    height = max(rows * cell_high, INPUT + CAPTION + GAP)
    number = f"{len(shown)} filters" if len(shown) == len(outputs) else f"first {MOST} of {len(outputs)} filters"
    number = "1 filter" if len(outputs) == 1 else number
    note = f"{number}, {run.weights}\neach from black (its lowest output) to white (its highest), written below it"
    width = 0.3 + INPUT + 0.3 + columns * cell_wide - GAP + 0.3
    sheet = new_sheet(width, height, "One image through the first layer", note, run.name)
    start = (sheet.width - width) / 2 + 0.3
    frames = [sheet.fit(pixels(image), start, 0.0, INPUT, vmin=0, vmax=255)]
    sheet.text(start + INPUT / 2, INPUT + 0.05, "The image", style.plain(style.LABEL))
    for index, output in enumerate(shown):
        row, column = divmod(index, columns)
        left, down = start + INPUT + 0.3 + column * cell_wide, row * cell_high
        low, high = _range(output)
        look = {"vmin": low, "vmax": high if high > low else low + 1.0}
        frames.append(sheet.fit(output.astype(float), left, down, IMAGE, **look))
        said = f"{low:.2g} to {high:.2g}" if high > low else f"{low:.2g} throughout"
        said = said if np.isfinite(output).any() else "not finite"
        sheet.text(left + IMAGE / 2, down + IMAGE + 0.04, said.replace("-", "−"), style.plain(style.SMALL - 1))
    sheet.frames(frames)
    return sheet.figure


def _range(output: NDArray[Any]) -> tuple[float, float]:
    finite = output[np.isfinite(output)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
