"""Fewer points, the same picture."""

from itertools import pairwise

import numpy as np

from dlhw.plot.run_folder import Floats


def decimate(x: Floats, y: Floats, bins: int = 600) -> tuple[Floats, Floats]:
    """The lowest and the highest point of each of `bins` stretches, in order, so that peaks survive; ends are kept.

    Points that are not finite go first."""
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    if len(x) <= 2 * bins:
        return x, y
    edges = np.linspace(0, len(x), bins + 1).astype(int)
    stretches = list(pairwise(edges))
    lowest = [start + int(y[start:stop].argmin()) for start, stop in stretches]
    highest = [start + int(y[start:stop].argmax()) for start, stop in stretches]
    keep = np.unique([0, *lowest, *highest, len(x) - 1])
    return x[keep], y[keep]
