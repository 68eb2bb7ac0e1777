"""A file's own sha256, inside it: in the comment that a zip archive, as torch.save writes one, may end with."""

import hashlib
from pathlib import Path

LENGTH_BYTES = 2  # of the comment's length, the last field of an archive
MARK = b"sha256:"
COMMENT_BYTES = len(MARK) + 64


def seal(path: Path) -> None:
    """Write the sha256 of an archive without a comment into one; every reader of zip files reads it as before."""
    digest = sha256(path, path.stat().st_size - LENGTH_BYTES)
    with path.open("r+b") as file:
        file.seek(-LENGTH_BYTES, 2)
        file.write(COMMENT_BYTES.to_bytes(LENGTH_BYTES, "little") + MARK + digest)


def is_whole(path: Path) -> bool:
    """Whether every byte of a sealed file is as it was written. Raises OSError."""
    sealed = path.stat().st_size - LENGTH_BYTES - COMMENT_BYTES
    if sealed < 0:
        return False
    with path.open("rb") as file:
        file.seek(sealed)
        comment = COMMENT_BYTES.to_bytes(LENGTH_BYTES, "little") + MARK + sha256(path, sealed)
        return file.read() == comment


def sha256(path: Path, size: int) -> bytes:
    """In hexadecimal, of the first `size` bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(size, 2**20))):
            digest.update(piece)
            size -= len(piece)
    return digest.hexdigest().encode()
