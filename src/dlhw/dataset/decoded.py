"""Images decoded once and kept as one mapped file, whose name says which state of which files it was made from."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from tqdm import tqdm

from dlhw.errors import UserError

SMALL_FILE_BYTES = 8192  # below, threads wait for Python's lock more than they decode: half as fast as one alone


def decoded(
    cache_dir: str,
    name: str,
    shape: tuple[int, ...],
    decode: Callable[[int], NDArray[np.uint8]],
    threads: int,
    what: str,
) -> NDArray[np.uint8]:
    """`<cache_dir>/<name>.npy` of that shape, mapped read-only; written from decode(0), decode(1), ... if missing.

    Any number of processes may ask at once; one decodes. Raises UserError, and whatever `decode` raises.
    """
    path = Path(cache_dir).expanduser() / f"{name}.npy"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_name(f".{path.name}.lock")):
                if not path.exists():  # another run may have written it meanwhile
                    _write(path, shape, decode, threads)
        images: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"dataset.cache_dir={cache_dir}: {path.name} cannot be kept there: {error}") from None
    if images.shape != shape:
        raise UserError(f"{what}: {path}: found shape {images.shape}, expected {shape}; delete it")
    return images


def fingerprint(settings: str, folder: Path, files: Sequence[Path]) -> str:
    """Changes with the settings and with the name, size and time of every file in the folder."""
    digest = hashlib.sha256(settings.encode())
    for file in files:
        stat = file.stat()
        digest.update(f"\n{file.relative_to(folder)}\0{stat.st_size}\0{stat.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def digests(cache_dir: str, name: str, files: Sequence[Path], threads: int, what: str) -> NDArray[np.uint64]:
    """(N,) of the files' bytes, from a cache as `decoded` keeps it: read once for each state of the files.

    64 bits: of a million different files, two are called the same in one set of forty million.
    """
    found = decoded(cache_dir, f"{name}-digests", (len(files), 8), lambda row: _digest(files[row]), threads, what)
    return found.view(np.uint64)[:, 0]


def _digest(file: Path) -> NDArray[np.uint8]:
    """(8,)."""
    return np.frombuffer(hashlib.blake2b(file.read_bytes(), digest_size=8).digest(), np.uint8)


def mean_bytes(files: Sequence[Path]) -> float:
    """Of a file's size."""
    return sum(file.stat().st_size for file in files) / len(files)


def _write(path: Path, shape: tuple[int, ...], decode: Callable[[int], NDArray[np.uint8]], threads: int) -> None:
    part = path.with_name(f".{path.name}.part")  # one name for all: the lock is held, and a killed run's is reused
    try:
        images = open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)

        def write(row: int) -> None:
            images[row] = decode(row)

        done = _each(write, len(images), threads)
        for _ in tqdm(done, total=len(images), desc=f"reading {path.stem}", disable=None, leave=False):
            pass
        images.flush()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _each(write: Callable[[int], None], count: int, threads: int) -> Iterator[None]:
    """write(0) to write(count - 1), in order where there is one thread; the first error ends it."""
    if threads == 1:
        yield from map(write, range(count))
        return
    pool = ThreadPoolExecutor(threads)
    try:
        yield from pool.map(write, range(count))
    finally:
        pool.shutdown(cancel_futures=True)
