"""Small files of the sets that have any; nothing is downloaded."""

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dlhw.dataset import mnist


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Several test processes of four threads each wait for one another."""
    torch.set_num_threads(1)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def clothes(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with a FashionMNIST of 60 + 20 images."""
    folder = tmp_path / "FashionMNIST/raw"
    folder.mkdir(parents=True)
    contents = []
    for count in (60, 20):
        for array in (rng.integers(0, 256, (count, 28, 28), np.uint8), np.arange(count, dtype=np.uint8) % 10):
            header = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
            contents.append(header + array.tobytes())
    for name, content in zip(mnist.FILES, contents, strict=True):
        (folder / name).write_bytes(content)
    digests = tuple(hashlib.md5(content, usedforsecurity=False).hexdigest() for content in contents)
    monkeypatch.setitem(mnist.MD5, "FashionMNIST", digests)
    return tmp_path


@pytest.fixture
def pets_root(tmp_path: Path) -> Path:
    """A root with 12 + 6 photographs of two breeds and three sizes, in the layout of Oxford-IIIT Pet."""
    write_pets(tmp_path / "oxford-iiit-pet", np.random.default_rng(1))
    return tmp_path


def write_pets(folder: Path, rng: np.random.Generator, per_part: dict[str, int] | None = None) -> None:
    (folder / "images").mkdir(parents=True)
    (folder / "annotations/trimaps").mkdir(parents=True)
    for part, count in (per_part or {"trainval": 12, "test": 6}).items():
        lines = []
        for number in range(count):
            breed = number % 2
            name = f"{('Abyssinian', 'great_pyrenees')[breed]}_{part}{number}"
            height, width = ((40, 30), (24, 24), (33, 50))[number % 3]
            smooth = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).resize((width, height))
            smooth.save(folder / f"images/{name}.jpg", quality=95)
            trimap = rng.integers(1, 4, (height, width), np.uint8)
            Image.fromarray(trimap).save(folder / f"annotations/trimaps/{name}.png")
            lines.append(f"{name} {breed + 1} {breed + 1} {number}")
        (folder / f"annotations/{part}.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def pets_writer() -> Callable[..., None]:
    return write_pets
