"""Which images are for training, for validation and for the test: indices, drawn by seed.

Each split has a generator of its own and is drawn before those that may change more often: the test split depends on
test_size alone, the validation split on val_size (and, with sampling "first", on train_size, which goes first there).
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Size = int | float | None
Sampling = Literal["stratified", "first"]
Indices = NDArray[np.int64]

PURPOSES = {"test_size": 0, "val_size": 1, "train_size": 2}  # spawn keys: three independent streams of one seed


@dataclass(frozen=True)
class SplitIndices:
    """Sorted and disjoint. train and val point into the train pool; test into the test pool, or into the only one."""

    train: Indices
    val: Indices | None
    test: Indices


def split(
    train_targets: Indices,
    test_targets: Indices | None,
    *,
    train_size: Size,
    val_size: Size,
    test_size: Size,
    sampling: Sampling,
    seed: int,
) -> SplitIndices:
    """Draw the three splits from (N,) targets. Raises ValueError that names the key, its value and what there is."""
    if test_targets is not None:
        everything = np.arange(len(test_targets))
        test = everything
        if test_size is not None:
            test = _take("test_size", test_size, test_targets, everything, sampling, seed)
        rest = np.arange(len(train_targets))
    else:
        everything = np.arange(len(train_targets))
        if test_size is None:
            raise ValueError("test_size=None: this set has no test images of its own; expected a count or a fraction")
        test = _take("test_size", test_size, train_targets, everything, sampling, seed)
        rest = np.setdiff1d(everything, test, assume_unique=True)
    pool = train_targets[rest]
    train, val = _train_and_val(pool, train_size, val_size, sampling, seed)
    return SplitIndices(rest[train], None if val is None else rest[val], test)


def check_size(key: str, size: Size) -> None:
    """Refuse what is neither a count nor a fraction, whatever the set. Raises ValueError."""
    if size is None and key != "val_size":
        return
    least = 0 if key == "val_size" else 1
    expected = f"a whole number from {least} (a count) or a number between 0 and 1 (a fraction)"
    if isinstance(size, bool) or not isinstance(size, int | float) or not math.isfinite(size):
        raise ValueError(f"{key}={size}: expected {expected}")
    is_fraction = 0 < size < 1
    is_count = float(size).is_integer() and size >= least and (isinstance(size, int) or size != 1)  # 1.0: 1 or 100%?
    if not (is_fraction or is_count):
        raise ValueError(f"{key}={size}: expected {expected}")


def _train_and_val(
    targets: Indices, train_size: Size, val_size: Size, sampling: Sampling, seed: int
) -> tuple[Indices, Indices | None]:
    """Positions within the train pool's (N,) targets."""
    everything = np.arange(len(targets))
    rest, val = everything, None
    if sampling == "first" and train_size is not None:
        train = _take("train_size", train_size, targets, everything, "first", seed)
        rest = np.setdiff1d(everything, train, assume_unique=True)
        if val_size:
            val = _take("val_size", val_size, targets, rest, "stratified", seed, "that train_size leaves")
        return train, val
    if val_size:
        val = _take("val_size", val_size, targets, everything, "stratified", seed)
        rest = np.setdiff1d(everything, val, assume_unique=True)
        if len(rest) == 0:
            raise ValueError(f"val_size={val_size}: leaves none of the {len(targets)} images to train on")
    if train_size is None:
        return rest, val
    return _take("train_size", train_size, targets, rest, "stratified", seed, "that val_size leaves"), val


def _take(
    key: str, size: Size, targets: Indices, candidates: Indices, sampling: Sampling, seed: int, left: str = "there are"
) -> Indices:
    """As many of the candidates as size says, a fraction being of all targets; sorted."""
    check_size(key, size)
    assert size is not None
    count = math.floor(size * len(targets) + 0.5) if size < 1 else int(size)
    if count > len(candidates):
        raise ValueError(f"{key}={size}: is {count} images, more than the {len(candidates)} {left}")
    if count == 0:
        raise ValueError(f"{key}={size}: is not even one of the {len(targets)} images")
    if sampling == "first":
        return candidates[:count]
    sequence = np.random.SeedSequence(seed, spawn_key=(PURPOSES[key],))
    return stratified(targets, candidates, count, np.random.default_rng(sequence))


def stratified(targets: Indices, candidates: Indices, count: int, generator: np.random.Generator) -> Indices:
    """`count` of the candidates, sorted; of each class its share of (N,) targets, within one image.

    Shares are rounded by largest remainder, so that the counts add up; a class that has too few candidates left gives
    all of them and the others make up for it.
    """
    _, labels = np.unique(targets, return_inverse=True)
    shares = count * np.bincount(labels) / len(labels)
    left = np.bincount(labels[candidates], minlength=len(shares))
    quota = np.minimum(np.floor(shares).astype(np.int64), left)
    by_remainder = np.argsort(quota - shares, kind="stable")
    while (missing := count - int(quota.sum())) > 0:
        open_classes = by_remainder[quota[by_remainder] < left[by_remainder]]
        quota[open_classes[:missing]] += 1
    # The whole pool is shuffled, not the candidates: which images come first does not depend on who is a candidate.
    is_candidate = np.zeros(len(labels), bool)
    is_candidate[candidates] = True
    shuffled = generator.permutation(len(labels))
    shuffled = shuffled[is_candidate[shuffled]]
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    rank = np.arange(len(by_class)) - np.repeat(np.cumsum(left) - left, left)  # 0, 1, ... within each class
    return np.sort(by_class[rank < np.repeat(quota, left)])
