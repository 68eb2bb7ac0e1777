"""One figure, one file, whole or not at all."""

import os
import threading
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from dlhw.plot import style


def write_png(figure: Figure, path: Path) -> Path:
    """Draws in memory, writes beside `path`, then replaces it in one move; makes the folder if need be."""
    buffer = BytesIO()
    figure.savefig(
        buffer, format="png", dpi=style.DPI, facecolor="white", edgecolor="white",
        bbox_inches=figure.bbox_inches, orientation="portrait",
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        unfinished.write_bytes(buffer.getvalue())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path
