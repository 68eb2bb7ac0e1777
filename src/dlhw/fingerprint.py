"""Whether the code or the data of a finished run are still the same: short hashes that results.json keeps."""

import hashlib
import importlib.util
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
SHOWS_ONLY = ("plot", "report", "sweep", "logger")  # folders of ours that draw and launch, and compute no result
LIBRARIES = ("dlhw", "torch", "torchvision")


def of_code(targets: Iterable[str]) -> str:
    """Of dlhw's own sources, and of the files of the user's modules that `targets` (`_target_`s of a config) name."""
    foreign = sorted({target.rpartition(".")[0] for target in targets if target.partition(".")[0] not in LIBRARIES})
    files = [path for module in foreign if (path := source_of(module)) is not None]
    return hashed([of_dlhw(), *(path.read_bytes().hex() for path in files)])


@cache
def of_dlhw() -> str:
    files = [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] not in SHOWS_ONLY]
    return hashed(part for path in files for part in (str(path.relative_to(PACKAGE)), path.read_text()))


def source_of(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    path = Path(spec.origin) if spec is not None and spec.origin is not None else None
    return path if path is not None and path.is_file() else None


def of_files(folder: Path) -> str:
    """Of the names, sizes and times of change of all files below a folder: nothing is read."""
    entries = ((Path(root) / name) for root, _, names in os.walk(folder) for name in names)
    stats = sorted((str(path.relative_to(folder)), path.stat()) for path in entries)
    return hashed(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats)


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
