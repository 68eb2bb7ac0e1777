"""One image file to pixels: the way that image folders are read, and a user's own file has to go the same way."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

# What Pillow reads in every build of it.
EXTENSIONS = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def decode(path: Path, in_channels: int, image_size: int) -> NDArray[np.uint8]:
    """(in_channels, image_size, image_size), 0..255, squeezed to a square by bilinear interpolation (antialiased).

    Turned as its Exif tag says; colour to grey by luma, transparency dropped, 16 bits to the upper 8; of a moving
    image the first. Raises what Pillow raises: OSError and others.
    """
    with Image.open(path) as image:
        image.load()
        upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # convert would clip 16 bits at 255
        upright = Image.fromarray((np.asarray(upright).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if upright.mode == "P" and "transparency" in upright.info:
        upright = upright.convert("RGBA")  # Pillow warns when a palette's transparency is dropped at once
    plain = upright.convert("L" if in_channels == 1 else "RGB")
    if plain.size != (image_size, image_size):
        plain = plain.resize((image_size, image_size), Image.Resampling.BILINEAR)
    pixels = np.asarray(plain)
    return pixels[None] if in_channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
