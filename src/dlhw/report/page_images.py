"""Pictures as data that stands in the page, made smaller where they are too many."""

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import PIL.Image

from dlhw.plot.run import PLOTS
from dlhw.plot.style import DPI
from dlhw.report.contents import Run

A_RUN, ALL_RUNS, FEW_RUNS = 200_000, 15_000_000, 2_000_000  # characters; a few runs may share FEW_RUNS
WIDE, COLOURS = 900, 64  # pixels and palette of a picture made smaller


@dataclass(frozen=True)
class Image:
    """width and height: as shown, in CSS pixels."""

    name: str
    uri: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class RunImages:
    """left_out: names of the plots that there was no room for, or that could not be read."""

    shown: list[Image]
    left_out: list[str]


def embed(name: str, png: bytes, alt: str) -> Image:
    with PIL.Image.open(io.BytesIO(png)) as picture:
        width, height = picture.size
        scale = 96 / (picture.info.get("dpi") or (DPI, DPI))[0]
    uri = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return Image(name, uri, alt, round(width * scale), round(height * scale))


def embed_runs(runs: list[Run]) -> dict[int, RunImages]:
    """By id of the run. Each has the same room."""
    with_plots = max(1, sum(any((run.folder / "plots").glob("*.png")) for run in runs))
    room = min(ALL_RUNS // with_plots, max(A_RUN, FEW_RUNS // with_plots))
    with ThreadPoolExecutor() as pool:
        return {
            id(run): images for run, images in zip(runs, pool.map(lambda run: embed_run(run, room), runs), strict=True)
        }


def embed_run(run: Run, room: int) -> RunImages:
    """Its plots in at most `room` characters: as they are if all fit, else smaller ones up to the first that does not
    fit, since those that tell most come first."""
    pngs = {path: png for path in plots_of(run.folder) if (png := _read(path))}
    fit = sum(map(_characters, pngs.values())) <= room
    shown = []
    for path, png in pngs.items():
        small = png if fit else smaller(png)
        room -= _characters(small)
        if room < 0:
            break
        shown.append(embed(path.stem, small, f"{path.stem.replace('_', ' ')} of {run.label}"))
    names = {image.name for image in shown}
    return RunImages(shown, [path.name for path in plots_of(run.folder) if path.stem not in names])


def plots_of(folder: Path) -> list[Path]:
    order = list(PLOTS)
    found = (folder / "plots").glob("*.png")
    return sorted(found, key=lambda path: (order.index(path.stem) if path.stem in order else len(order), path.name))


def _read(path: Path) -> bytes | None:
    """None of a file that is gone or that is no whole picture."""
    try:
        png = path.read_bytes()
        with PIL.Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
            picture.verify()
    except (OSError, SyntaxError, ValueError):
        return None
    return png


def smaller(png: bytes) -> bytes:
    """At most WIDE pixels wide and in COLOURS colours, if that is smaller indeed."""
    with PIL.Image.open(io.BytesIO(png)) as opened:
        picture = opened.convert("RGB")
        scale = 96 / (opened.info.get("dpi") or (DPI, DPI))[0]
    shown_wide, wide = picture.width * scale, min(WIDE, picture.width)
    if wide < picture.width:
        picture = picture.resize((wide, round(picture.height * wide / picture.width)), PIL.Image.Resampling.BICUBIC)
    reduced = picture.quantize(COLOURS, method=PIL.Image.Quantize.FASTOCTREE, dither=PIL.Image.Dither.NONE)
    _keep_paper(reduced, picture)
    buffer = io.BytesIO()
    dpi = 96 * wide / shown_wide
    reduced.save(buffer, "PNG", compress_level=6, dpi=(dpi, dpi))
    return min(buffer.getvalue(), png, key=len)


def _keep_paper(reduced: PIL.Image.Image, picture: PIL.Image.Image) -> None:
    """White paper stays white, where a small palette would have it share a colour with what is nearly white."""
    palette, corner = reduced.getpalette() or [], reduced.crop((0, 0, 1, 1)).tobytes()[0]
    palette[3 * corner : 3 * corner + 3] = picture.crop((0, 0, 1, 1)).tobytes()
    reduced.putpalette(palette)


def _characters(png: bytes) -> int:
    return 4 * len(png) // 3
