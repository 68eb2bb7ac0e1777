"""One figure, one file, whole or not at all."""

from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from dlhw.files import write_bytes
from dlhw.plot import style


def png(figure: Figure) -> bytes:
    """Not by savefig: that draws each figure twice."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    coloured = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    pixels = np.ascontiguousarray(coloured[..., :3])  # all of ours stand on white
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", dpi=(style.DPI, style.DPI), compress_level=2)
    return buffer.getvalue()


def write_png(figure: Figure, path: Path) -> Path:
    write_bytes(path, png(figure))
    return path
