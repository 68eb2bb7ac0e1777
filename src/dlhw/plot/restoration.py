"""Images given back: noisy, restored, clean."""

import numpy as np
from matplotlib.figure import Figure

from dlhw.plot import style
from dlhw.plot.run_folder import Floats, RunFolder
from dlhw.plot.sheet import new_sheet, pixels

MOST, FEW = 16, 3  # the most images, and the most with one triplet a row
IMAGE, GAP, BETWEEN, CAPTION, HEAD, MARGIN = 1.3, 0.1, 0.4, 0.3, 0.28, 0.3  # inches
PARTS = {"noisy": "Input", "restored": "Restored", "clean": "Truth"}


def draw_restoration(run: RunFolder) -> Figure | None:
    """Triplets, PSNR against the truth below input and result; values beyond [0, 1] are shown at its ends."""
    triplets = [run.arrays.get(f"sample_{part}", np.empty(0))[:MOST] for part in PARTS]
    if triplets[0].ndim != 4 or any(part.shape != triplets[0].shape for part in triplets) or not triplets[0].size:
        return None
    psnr = {
        part: run.arrays.get(f"sample_psnr_{part}", np.empty(0))[:MOST].astype(float) for part in ("noisy", "restored")
    }
    count = len(triplets[0])
    abreast = 1 if count <= FEW else 2
    rows = -(-count // abreast)
    triplet_wide = 3 * IMAGE + 2 * GAP
    width = abreast * (triplet_wide + BETWEEN) - BETWEEN + 2 * MARGIN
    note = f"test, {run.weights}" + _summary(psnr, count)
    sheet = new_sheet(width, HEAD + rows * (IMAGE + CAPTION) + 0.05, "Restored images", note, run.name)
    frames = []
    for index in range(count):
        row, beside = divmod(index, abreast)
        start = (sheet.width - width) / 2 + MARGIN + beside * (triplet_wide + BETWEEN)
        down = HEAD + row * (IMAGE + CAPTION)
        for column, (part, images) in enumerate(zip(PARTS, triplets, strict=True)):
            left = start + column * (IMAGE + GAP)
            if row == 0:
                sheet.text(left + IMAGE / 2, 0.05, PARTS[part], style.plain(style.LABEL))
            shown = np.clip(np.nan_to_num(pixels(images[index].astype(float))), 0.0, 1.0)
            frames.append(sheet.fit(shown, left, down, IMAGE, vmin=0.0, vmax=1.0))
            if len(psnr.get(part, ())) == count:
                said, bold = decibels(psnr[part][index]), "bold" if part == "restored" else "normal"
                sheet.text(left + IMAGE / 2, down + IMAGE + 0.04, said, style.plain(style.SMALL, weight=bold))
    sheet.frames(frames)
    return sheet.figure


def decibels(psnr: float) -> str:
    """The PSNR of an image that is its truth is infinite."""
    return "not finite" if np.isnan(psnr) else f"{'∞' if np.isinf(psnr) else f'{psnr:.1f}'} dB"


def _summary(psnr: dict[str, Floats], count: int) -> str:
    finite = {part: values[np.isfinite(values)] for part, values in psnr.items() if len(values) == count}
    if len(finite) < len(psnr) or not all(map(len, finite.values())):
        return ""
    return "; mean PSNR of these: input {noisy}, restored {restored}".format(
        **{part: decibels(float(values.mean())) for part, values in finite.items()}
    )
