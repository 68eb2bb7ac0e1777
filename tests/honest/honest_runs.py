"""Runs that take a moment, sets of pictures made up on the spot, and ways to end a run before its time."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dlhw
from dlhw import one_run
from dlhw.one_run import Run

FC = ("model=fc", "model.hidden=[8]", "plots=none", "device=cpu", "threads=1")
TINY = (*FC, "dataset.train_size=60", "batch_size=30", "epochs=3")
PICTURES = (*FC, "dataset=image_folder", "dataset.root=pictures", "dataset.image_size=8", "batch_size=8", "epochs=2")


def run(*overrides: str, folder: str = "run") -> Run:
    """Later overrides win over TINY's."""
    typed = {override.partition("=")[0]: override for override in (*TINY, *overrides)}
    return dlhw.run(*typed.values(), f"hydra.run.dir={folder}")


def broken_off(after: int, start: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a run interrupted, as by Ctrl-C, after so many rows and their checkpoints."""
    rows = 0

    def stops(monitor: Any) -> bool:
        nonlocal rows
        rows += 1
        if rows == after:
            raise KeyboardInterrupt
        return False

    with monkeypatch.context() as patch:
        patch.setattr(one_run, "stops_early", stops)
        with pytest.raises(KeyboardInterrupt):
            start()


def contents(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(folder.read_text())
    return found


def write_pictures(folder: Path, count: int, classes: tuple[str, ...] = ("cat", "dog"), seed: int = 0) -> list[Path]:
    """`folder`/<class>/<n>.bmp, each unlike the others, whose bytes are its pixels."""
    rng = np.random.default_rng(seed)
    paths = [folder / name / f"{number}.bmp" for name in classes for number in range(count)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(path)
    return paths


def flip_a_bit(path: Path) -> None:
    """Of the last byte, by somebody who leaves size and time of change as they were."""
    before, data = path.stat(), path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
