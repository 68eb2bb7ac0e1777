"""A colour for each class, told apart with any kind of colour vision as far as their number allows."""

import numpy as np
from matplotlib.colors import to_rgb

from dlhw.plot.run_folder import Floats

BACKGROUND = "#d9d9d9"
# Okabe and Ito's, then what keeps any two of them and the background at least 16 apart (CIELAB, with normal vision and
# with simulated protanopia, deuteranopia and tritanopia alike).
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#f0e442", "#332288", "#882255", "#ff3366",
           "#ccff99", "#cc66ff", "#cc0033", "#99cc99", "#9933ff")  # fmt: skip


def class_colours(names: list[str]) -> Floats:
    """(K, 3) in [0, 1]; a class called background is grey. Past the palette's end its colours return, half white."""
    colours, used = [], 0
    for name in names:
        if is_background(name):
            colours.append(to_rgb(BACKGROUND))
            continue
        turn, place = divmod(used, len(PALETTE))
        colour = np.array(to_rgb(PALETTE[place]))
        colours.append(tuple(colour + (1 - colour) * 0.55 * (turn % 2)))
        used += 1
    return np.array(colours).reshape(-1, 3)


def is_background(name: str) -> bool:
    return name.strip().lower() == "background"
