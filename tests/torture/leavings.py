"""What runs leave in their folders: whether each file is whole, and all of it but times, to compare two of them."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from dlhw.folder.seal import is_whole

TIMES = ("seconds", "samples_per_second")  # columns
PICTURES_OF_TIME = ("metric_against_seconds",)
OF_THE_MOMENT = ("seconds", "command", "git_commit")  # keys of results.json


def broken_files(place: Path) -> list[str]:
    """Of all files below a folder, those that cannot be read to their end, with the reason."""
    return [problem for path in files_in(place) if (problem := problem_of(path))]


def files_in(place: Path) -> list[Path]:
    """A name with a dot in front belongs to a file that was being written, or to a lock."""
    return sorted(path for path in place.rglob("*") if path.is_file() and not path.name.startswith("."))


def problem_of(path: Path) -> str:
    try:
        whole = READERS.get(path.suffix, lambda path: True)(path)
    except Exception as error:  # whatever a reader says to a damaged file
        return f"{path}: {type(error).__name__}: {error}"
    return "" if whole else f"{path}: not whole"


def table_is_whole(path: Path) -> bool:
    """Complete lines of equally many cells."""
    text = path.read_text()
    return text.endswith("\n") and len({len(line) for line in csv.reader(io.StringIO(text))}) == 1


def archive_is_whole(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return archive.testzip() is None


READERS = {
    ".json": lambda path: bool(json.loads(path.read_text())),
    ".yaml": lambda path: yaml.safe_load(path.read_text()) is not None,
    ".csv": table_is_whole,
    ".npz": archive_is_whole,
    ".pt": is_whole,
    ".png": lambda path: path.read_bytes().endswith(b"IEND\xaeB`\x82"),
    ".html": lambda path: path.read_text().rstrip().endswith("</html>"),
}


def fingerprints(place: Path) -> dict[str, str]:
    """A hash of each file below a folder, times left out of it; logs are left out altogether."""
    return {
        str(path.relative_to(place)): hashlib.sha256(b"".join(CONTENTS.get(path.suffix, plain)(path))).hexdigest()
        for path in files_in(place)
        if path.suffix in CONTENTS and path.stem not in PICTURES_OF_TIME
    }


def plain(path: Path) -> Iterator[bytes]:
    yield path.read_bytes()


def table(path: Path) -> Iterator[bytes]:
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            yield repr([(key, cell) for key, cell in row.items() if key not in TIMES]).encode()


def results(path: Path) -> Iterator[bytes]:
    content = json.loads(path.read_text())
    if path.name == "status.json":
        content = content["status"]
    else:
        content = {key: value for key, value in content.items() if key not in OF_THE_MOMENT}
    yield json.dumps(content).encode()


def arrays(path: Path) -> Iterator[bytes]:
    with np.load(path) as stored:
        for name in stored.files:
            yield repr((name, stored[name].shape, stored[name].dtype)).encode() + stored[name].tobytes()


def checkpoint(path: Path) -> Iterator[bytes]:
    yield from flat(torch.load(path, weights_only=True))


def flat(node: Any) -> Iterator[bytes]:
    if isinstance(node, torch.Tensor):
        yield repr((node.shape, node.dtype)).encode() + node.contiguous().numpy().tobytes()
    elif isinstance(node, dict):
        for key, value in node.items():
            if key not in TIMES:
                yield repr(key).encode()
                yield from flat(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from flat(value)
    else:
        yield repr(node).encode()


CONTENTS = {".csv": table, ".json": results, ".npz": arrays, ".pt": checkpoint, ".png": plain}
