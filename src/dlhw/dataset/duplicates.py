"""Images that a set holds more than once, by the bytes of their files: in several splits, or under several classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlhw.dataset.pool import Pool


class Part(NamedTuple):
    """A split before it is placed: rows of a pool."""

    pool: Pool
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Duplicates:
    """Each image counts once, however many files hold it. example: two files of an image in two splits, or classes."""

    splits: dict[str, int]  # "train and test": how many images both hold; pairs that share none are left out
    classes: int  # how many images have files in more than one class
    example: tuple[str, str] | None

    def __str__(self) -> str:
        """A line, empty where there are none."""
        found = [f"{count} in {pair}" for pair, count in self.splits.items()]
        found += [f"{self.classes} in several classes"] if self.classes else []
        where = f", such as {self.example[0]} and {self.example[1]}" if self.example else ""
        return f"the same image in different places: {', '.join(found)}{where}" if found else ""


def find_duplicates(parts: Mapping[str, Part]) -> Duplicates | None:
    """parts: the splits by name. None where the pools know nothing of their files."""
    digests = [part.pool.digests[part.rows] for part in parts.values() if part.pool.digests is not None]
    if len(digests) < len(parts):
        return None
    found, image = np.unique(np.concatenate(digests), return_inverse=True)
    if len(found) == len(image):
        return Duplicates({}, 0, None)
    split = np.repeat(np.arange(len(parts)), [len(part.rows) for part in parts.values()])
    label = np.concatenate([part.pool.targets[part.rows] for part in parts.values()])
    held = np.zeros((len(found), len(parts)), bool)
    held[image, split] = True
    shared = {f"{a} and {b}": int((x & y).sum()) for (a, x), (b, y) in combinations(zip(parts, held.T, strict=True), 2)}
    splits = {pair: count for pair, count in shared.items() if count}
    classes = np.bincount(np.unique(np.stack([image, label]), axis=1)[0]) > 1
    return Duplicates(splits, int(classes.sum()), example(parts, image, split if splits else label))


def example(parts: Mapping[str, Part], image: NDArray[np.int64], differ: NDArray[np.int64]) -> tuple[str, str] | None:
    """The first two files of one image that differ in split or class; None where no two do."""
    files = [str(part.pool.files[row]) for part in parts.values() for row in part.rows]
    first: dict[int, int] = {}
    for place, content in enumerate(image.tolist()):
        before = first.setdefault(content, place)
        if differ[before] != differ[place]:
            return files[before], files[place]
    return None
