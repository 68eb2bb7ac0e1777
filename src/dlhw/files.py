"""Files written whole or not at all."""

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any


@contextmanager
def replacing(path: Path, keep: Path | None = None) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it takes the path's place when the block ends well.

    keep: the name that what was at `path` gets. Raises OSError, which names the path. A folder above the path's own
    that was taken away is not made again.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with naming(path):
            path.parent.mkdir(exist_ok=True)
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            if keep is not None and path.exists():
                share(path, keep)
            temporary.replace(path)
            sync_names(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def share(path: Path, other: Path) -> None:
    """Give a file a second name; at no moment is it without the first. Where it can have one alone, it gets that."""
    try:
        other.unlink(missing_ok=True)
        other.hardlink_to(path)
    except OSError:
        path.replace(other)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have the system's errors name this file: a full disk is told without one, and nobody knows a temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def sync_names(folder: Path) -> None:
    """Have the disk know the folder's names too, where the system can be asked for that."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # what some file systems say, and network ones
                raise
        finally:
            os.close(descriptor)


def write_atomic(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        write(file)


def append(path: Path, content: bytes) -> None:
    """All of it, or nothing where that fails. Only a process that is killed in the middle leaves a part."""
    with naming(path), path.open("ab", buffering=0) as file:
        before, left = file.tell(), memoryview(content)
        try:
            while left:  # a disk may take a part before it is full
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(before)
            if not before:
                path.unlink()
            raise


def write_bytes(path: Path, content: bytes) -> None:
    write_atomic(path, lambda file: file.write(content))


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_json(path: Path, content: dict[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=2, allow_nan=True) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Nothing where there is no such file, or one that was cut short."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
