"""Images that lie in several splits or classes are found, counted and told once; without them nothing is said."""

import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from honest_runs import PICTURES, run, write_pictures

from dlhw.dataset import decoded
from dlhw.dataset.batches import Splits
from dlhw.dataset.denoise import Denoise
from dlhw.dataset.duplicates import Part, find_duplicates
from dlhw.dataset.image_folder import ImageFolder
from dlhw.dataset.pool import Pool

CPU = torch.device("cpu")
SIZES = {"in_channels": 1, "image_size": 8, "in_features": 64, "num_classes": None, "classes": None, "seed": 0}


def load(root: str = "pictures", **sizes: float | None) -> Splits:
    return ImageFolder(root=root, cache_dir="cache", **{**SIZES, "val_size": 0.25, **sizes}).load(CPU)


def shared(splits: Splits) -> dict[str, int]:
    """The oracle: distinct images, by their pixels, that two splits both give out."""
    parts = {"train": splits.train, "val": splits.val, "test": splits.test}
    pixels = {n: {image.tobytes() for image in s.raw(range(len(s)))} for n, s in parts.items() if s is not None}
    counts = {f"{a} and {b}": len(pixels[a] & pixels[b]) for a, b in combinations(pixels, 2)}
    return {pair: count for pair, count in counts.items() if count}


@pytest.fixture
def two_folders() -> dict[str, list[Path]]:
    return {name: write_pictures(Path("pictures", name), 12, seed=seed) for seed, name in enumerate(("train", "test"))}


def test_a_set_without_any(two_folders: dict[str, list[Path]]) -> None:
    splits = load()
    assert splits.duplicates is not None
    assert (splits.duplicates.splits, splits.duplicates.classes, str(splits.duplicates)) == ({}, 0, "")
    assert shared(splits) == {}


def test_between_folders(two_folders: dict[str, list[Path]]) -> None:
    """Two images of train in test, one of them twice: two images."""
    train, test = two_folders["train"], two_folders["test"]
    for source, target in ((0, 0), (0, 1), (1, 2)):
        shutil.copy(train[source], test[target])
    splits = load(val_size=0)
    assert splits.duplicates is not None
    assert splits.duplicates.splits == shared(splits) == {"train and test": 2}
    assert splits.duplicates.classes == 0
    assert splits.duplicates.example == (str(train[0]), str(test[0]))
    assert str(splits.duplicates) == (
        f"the same image in different places: 2 in train and test, such as {train[0]} and {test[0]}"
    )


@pytest.mark.parametrize("sizes", [{}, {"val_size": 0}, {"train_size": 10}, {"test_size": 4}], ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_folder_that_is_cut_here(sizes: dict[str, float], seed: int) -> None:
    """Thirty images, three files each: the cut decides where they fall, and what it leaves out counts nowhere."""
    paths = write_pictures(Path("pictures"), 15)
    for path in paths:
        for copy in "ab":
            shutil.copy(path, path.with_name(f"{path.stem}{copy}.bmp"))
    splits = load(seed=seed, **sizes)
    assert splits.duplicates is not None
    assert splits.duplicates.splits == shared(splits) != {}
    first, second = map(Path, splits.duplicates.example or ())
    assert first != second
    assert first.read_bytes() == second.read_bytes()


def test_copies_within_one_split_and_class_are_none() -> None:
    for path in write_pictures(Path("pictures", "train"), 4):
        shutil.copy(path, path.with_name("copy_of_" + path.name))
    write_pictures(Path("pictures", "test"), 4, seed=1)
    assert str(load(val_size=0).duplicates) == ""


def test_one_image_in_two_classes(two_folders: dict[str, list[Path]]) -> None:
    cat, dog = Path("pictures/train/cat/0.bmp"), Path("pictures/train/dog/5.bmp")
    shutil.copy(cat, dog)
    found = load(val_size=0).duplicates
    assert found is not None
    assert (found.splits, found.classes, found.example) == ({}, 1, (str(cat), str(dog)))
    assert str(found).startswith("the same image in different places: 1 in several classes, such as ")


def test_in_two_splits_and_two_classes(two_folders: dict[str, list[Path]]) -> None:
    shutil.copy("pictures/train/cat/0.bmp", "pictures/test/dog/0.bmp")
    found = load(val_size=0).duplicates
    assert found is not None
    assert (found.splits, found.classes) == ({"train and test": 1}, 1)


def test_other_sets_are_not_looked_at() -> None:
    pool = Pool(np.zeros((3, 1, 2, 2), np.uint8), np.zeros(3, np.int64))
    assert find_duplicates({"train": Part(pool, np.array([0, 1])), "test": Part(pool, np.array([2]))}) is None


def test_noise_hides_none(two_folders: dict[str, list[Path]]) -> None:
    shutil.copy(two_folders["train"][3], two_folders["test"][3])
    noisy = Denoise(source="image_folder", root="pictures", cache_dir="cache", sigma=0.1, val_size=0, **SIZES)  # type: ignore[arg-type]
    found = noisy.load(CPU).duplicates
    assert found is not None
    assert found.splits == {"train and test": 1}


def test_files_are_read_once_for_each_state_of_the_folder(
    two_folders: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    digest = decoded._digest
    monkeypatch.setattr(decoded, "_digest", lambda file: read.append(file) or digest(file))
    load()
    assert len(read) == 48
    load(seed=1)
    assert len(read) == 48
    two_folders["test"][0].write_bytes(two_folders["train"][0].read_bytes() + b" ")
    assert str(load(val_size=0).duplicates) == ""
    assert len(read) == 48 + 24  # of the folder that has changed


def test_a_run_says_so_once_and_records_it(two_folders: dict[str, list[Path]], said: list[str]) -> None:
    shutil.copy(two_folders["train"][0], two_folders["test"][0])
    typed = [word for word in PICTURES if not word.startswith("dataset.train_size")]
    results = run(*typed, "dataset.train_size=null", "dataset.val_size=0").results
    told = [line for line in said if "same image" in line]
    assert told == [
        "warning: the same image in different places: 1 in train and test, such as "
        "pictures/train/cat/0.bmp and pictures/test/cat/0.bmp"
    ]
    assert results["duplicates"]["splits"] == {"train and test": 1}
    assert results["duplicates"]["classes"] == 0


def test_a_run_without_them_says_nothing(two_folders: dict[str, list[Path]], said: list[str]) -> None:
    results = run(*PICTURES, "dataset.train_size=null").results
    assert results["duplicates"] == {"splits": {}, "classes": 0, "example": None}
    assert run(folder="digits").results["duplicates"] is None
    assert not [line for line in said if "same image" in line]
