"""Whether the code or the data of a run are still the same: short hashes that its folder keeps."""

import hashlib
import os
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cache
from importlib import invalidate_caches
from pathlib import Path
from typing import Any

from dlhw.config.parameters import source_of

PACKAGE = Path(__file__).parents[1]
SHOWS_ONLY = ("plot", "report", "sweep", "logger")  # folders of ours that draw and launch, and compute no result
LIBRARIES = ("dlhw", "torch", "torchvision")

# A data set of no more is read to its last byte whenever a run begins: 0.05 s for MNIST, 0.2 s for 5,000 pictures of
# 1 kB. In a larger one names and sizes stand for the contents: 0.5 s for 60,000 files.
READ_BYTES = 256 * 2**20
READ_FILES = 5_000


def of_code(targets: Iterable[str]) -> str:
    """Of dlhw's own sources, and of the files of the user's modules that `targets` (`_target_`s of a config) name."""
    return hashed([of_dlhw(), *(path.read_bytes().hex() for path in own_sources(targets))])


def own_sources(targets: Iterable[str]) -> list[Path]:
    """The files of the user's own modules that targets name, as they lie now: in a notebook they come and go."""
    source_of.cache_clear()
    invalidate_caches()
    foreign = sorted({target.rpartition(".")[0] for target in targets if target.partition(".")[0] not in LIBRARIES})
    return [path for module in foreign if (path := source_of(module)) is not None]


@cache
def of_dlhw() -> str:
    files = [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] not in SHOWS_ONLY]
    return hashed(part for path in files for part in (str(path.relative_to(PACKAGE)), path.read_text()))


def of_files(folder: Path) -> str:
    """Of all data files below a folder."""
    return of_contents(contents(folder))


def of_contents(found: Mapping[str, str]) -> str:
    return hashed(f"{name} {content}" for name, content in sorted(found.items()))


def contents(folder: Path) -> dict[str, str]:
    """What each data file below a folder holds, by its name there: a hash; its size in a folder too large to be read.

    Of more than READ_FILES files one entry stands for all in a folder. When files were written plays no part.
    """
    sizes = dict(sizes_below(str(folder))) if folder.is_dir() else {}
    if len(sizes) > READ_FILES:
        return by_folder(sizes)
    if sum(sizes.values()) > READ_BYTES:
        return {name: f"{size} bytes" for name, size in sizes.items()}
    return {name: of_file(folder / name) for name in sizes}


def sizes_below(folder: str, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Data files and their bytes: neither hidden ones, such as locks, nor what lies unpacked beside them."""
    entries = sorted((entry for entry in os.scandir(folder) if not entry.name.startswith(".")), key=lambda e: e.name)
    names = {entry.name for entry in entries}
    for entry in entries:
        if entry.is_dir():
            yield from sizes_below(entry.path, f"{prefix}{entry.name}/")
        elif entry.is_file() and not is_packed(entry.name, names):
            yield prefix + entry.name, entry.stat().st_size


def is_packed(name: str, beside: Container[str]) -> bool:
    return name.endswith((".tar.gz", ".tgz")) or (name.endswith(".gz") and name.removesuffix(".gz") in beside)


def by_folder(sizes: Mapping[str, int]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for name, size in sizes.items():
        found.setdefault(name.rpartition("/")[0] or ".", []).append(f"{name} {size}")
    return {name: hashed(entries) for name, entries in found.items()}


def of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def targets_in(node: Any) -> list[str]:
    """Every `_target_` in a config as plain data."""
    if isinstance(node, dict):
        own = [str(node["_target_"])] if "_target_" in node else []
        return own + [target for value in node.values() for target in targets_in(value)]
    return [target for value in node for target in targets_in(value)] if isinstance(node, list) else []


def hashed(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:12]
