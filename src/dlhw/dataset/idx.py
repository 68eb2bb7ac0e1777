"""The idx files of MNIST and of the sets made after it: a header of big-endian 32-bit numbers, then bytes."""

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

UNSIGNED_BYTE = 0x08  # the header's third byte: the kind of the values


class IdxError(Exception):
    """What is wrong with one idx file: "found ..., expected ..."; the set that wants it adds where it lies."""


def read_bytes(path: Path) -> bytes:
    """The file, or what is packed in `<path>.gz` if only that is there. Raises FileNotFoundError and IdxError."""
    if path.exists():
        return path.read_bytes()
    packed = path.with_name(path.name + ".gz")
    try:
        return gzip.decompress(packed.read_bytes())
    except FileNotFoundError:
        raise
    except (OSError, EOFError, zlib.error) as error:
        raise IdxError(f"found a broken gzip file ({packed.name}: {error}), expected a whole one") from None


def parse(content: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Unsigned bytes of shape (N, *shape), read-only, over the content's own memory. Raises IdxError.

    `shape` () for labels, (28, 28) for images.
    """
    dims = 1 + len(shape)
    header = 4 + 4 * dims
    if len(content) < header:
        raise IdxError(f"found {len(content)} bytes, expected a header of {header} and data")
    magic = struct.unpack(">I", content[:4])[0]
    expected = (UNSIGNED_BYTE << 8) + dims
    if magic != expected:
        raise IdxError(f"found magic number {magic}, expected {expected} (unsigned bytes, {dims} dimensions)")
    count, *found = struct.unpack(f">{dims}I", content[4:header])
    if tuple(found) != shape:
        raise IdxError(f"found images of {'x'.join(map(str, found))}, expected {'x'.join(map(str, shape))}")
    size = header + count * int(np.prod(shape))
    if len(content) != size:
        raise IdxError(f"found {len(content):,} bytes, expected {size:,} by its header ({count:,} entries)")
    return np.frombuffer(content, np.uint8, offset=header).reshape(count, *shape)


def check_md5(content: bytes, md5: str | None) -> None:
    """Raises IdxError if the content is not the one that is known; an md5 of None knows nothing."""
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 is not None and found != md5:
        raise IdxError(f"found md5 {found}, expected {md5}")
