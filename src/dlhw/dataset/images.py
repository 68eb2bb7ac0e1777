"""ImageSet: what every set of images shares. A subclass reads its files; `load` tells the rest from top to bottom."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from dlhw.dataset.augment import Augment
from dlhw.dataset.batches import PixelSplit, Resident, Splits
from dlhw.dataset.checks import check_choice, check_count, check_fact
from dlhw.dataset.duplicates import Part, find_duplicates
from dlhw.dataset.pool import Pool, convert, matches
from dlhw.dataset.preprocess import Normalize, measure
from dlhw.dataset.split import Sampling, SplitIndices, check_size, split
from dlhw.dataset.streamed import Streamed
from dlhw.errors import UserError
from dlhw.memory import free_bytes

MEASURED_AT_A_TIME = 2000  # images


@dataclass(kw_only=True)
class ImageSet(ABC):
    """Square images and a class for each. The fields are the keys of conf/dataset/*.yaml.

    Sizes: a whole number is a count, a number below 1 a fraction; of the train pool (train_size, val_size) or of the
    test pool (test_size; of everything where the set has no test images of its own). null: all that there is.
    """

    CLASSES: ClassVar[Sequence[str] | None] = None  # of a known set: what `classes` has to be
    TEST_SIZE: ClassVar[float | None] = None  # what a test_size of null means where the set has no test pool

    task: Literal["classification"] = "classification"
    in_channels: int  # 1 or 3; other images are converted
    image_size: int  # side, in pixels; other images are resized
    num_classes: int | None
    classes: list[str] | None
    in_features: int  # in_channels * image_size * image_size, for models that see a flat input
    out_features: int | None = None  # of a model whose output is flat: num_classes
    seed: int
    train_size: int | float | None = None
    val_size: int | float  # 0: no validation split
    test_size: int | float | None = None
    sampling: Sampling = "stratified"  # or "first": the first images in file order, for train_size and test_size
    normalize: Normalize = "none"  # by mean and std of the training split: one a channel, or one a pixel
    augment: Augment | None = None  # random changes of the training images
    resident: Literal["auto"] | bool = "auto"  # all images on the device; auto: if half of its free memory holds them
    num_workers: int | Literal["auto"] = "auto"  # processes that fetch the images when they are not resident

    def __post_init__(self) -> None:
        """Check values, then facts. Raises ValueError, one line that begins with key=value."""
        self._check_values()
        self._check_facts()

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one sample: (C, S, S)."""
        return (self.in_channels, self.image_size, self.image_size)

    @property
    def stored_channels(self) -> int:
        """Of the images that `read` returns: more than in_channels where a mask lies behind them."""
        return self.in_channels

    @abstractmethod
    def read(self) -> tuple[Pool, Pool | None]:
        """Train pool, and test pool where the set has one. Raises UserError."""

    def load(self, device: torch.device, dtype: torch.dtype = torch.float32, channels_last: bool = False) -> Splits:
        """Read, split, convert, and put the images where batches are made. Raises UserError."""
        train_pool, test_pool = self.read()
        indices = self._split(train_pool, test_pool)
        resident = self._is_resident(indices, device)
        parts = {"train": Part(train_pool, indices.train)}
        if indices.val is not None:
            parts["val"] = Part(train_pool, indices.val)
        parts["test"] = Part(train_pool if test_pool is None else test_pool, indices.test)
        train = self._place(*parts["train"], device, resident, self.augment)
        val = self._place(*parts["val"], device, resident) if "val" in parts else None
        test = self._place(*parts["test"], device, resident)
        blocks = train.blocks(None, MEASURED_AT_A_TIME)
        preprocess = measure(blocks, self.normalize, dtype, channels_last).to(device)
        for part in (train, val, test):
            if part is not None:
                part.preprocess = preprocess
        return Splits(train, val, test, preprocess, self.classes, find_duplicates(parts))

    def _split(self, train_pool: Pool, test_pool: Pool | None) -> SplitIndices:
        sizes = {"train_size": self.train_size, "val_size": self.val_size, "test_size": self.test_size}
        if test_pool is None and self.test_size is None:
            sizes["test_size"] = self.TEST_SIZE
        test_targets = None if test_pool is None else test_pool.targets
        try:
            return split(train_pool.targets, test_targets, **sizes, sampling=self.sampling, seed=self.seed)
        except ValueError as error:
            raise UserError(f"dataset.{error}") from None

    def _is_resident(self, indices: SplitIndices, device: torch.device) -> bool:
        if self.resident != "auto":
            return self.resident
        count = len(indices.train) + len(indices.test) + (0 if indices.val is None else len(indices.val))
        return count * self.stored_channels * self.image_size**2 <= free_bytes(device) / 2

    def _place(
        self, pool: Pool, rows: NDArray[np.int64], device: torch.device, resident: bool, augment: Augment | None = None
    ) -> PixelSplit:
        """A split of these rows of the pool, in the channels and size asked for."""
        targets = torch.from_numpy(pool.targets[rows]).to(device)
        if resident:
            images = torch.from_numpy(convert(pool.images, rows, self.stored_channels, self.image_size))
            return Resident(images.to(device), targets, augment)
        if matches(pool.images, self.stored_channels, self.image_size):
            return Streamed(pool.images, rows, targets, augment, self.num_workers)
        converted = convert(pool.images, rows, self.stored_channels, self.image_size)
        return Streamed(converted, np.arange(len(rows)), targets, augment, self.num_workers)

    def _check_values(self) -> None:
        check_choice("task", self.task, (type(self).task,))
        check_choice("sampling", self.sampling, get_args(Sampling))
        check_choice("normalize", self.normalize, get_args(Normalize))
        if self.in_channels not in (1, 3):
            raise ValueError(f"in_channels={self.in_channels}: expected 1 (grey) or 3 (colour)")
        check_count("image_size", self.image_size, 1)
        check_count("seed", self.seed, 0)
        for key in ("train_size", "val_size", "test_size"):
            check_size(key, getattr(self, key))
        if self.resident != "auto" and not isinstance(self.resident, bool):
            raise ValueError(f"resident={self.resident}: expected auto, true or false")
        if self.num_workers != "auto":
            check_count("num_workers", self.num_workers, 0, " or auto")
        if self.augment is not None and not isinstance(self.augment, Augment):
            raise ValueError(
                f"augment={self.augment}: expected null or a node with _target_ {Augment.__module__}.Augment"
            )

    def _check_facts(self) -> None:
        """Fill in what is null and refuse what contradicts the set."""
        self._check_in_features()
        name = type(self).__name__
        classes = list(self.CLASSES or self.classes or [])
        if self.classes is not None and list(self.classes) != classes:
            raise ValueError(f"classes={list(self.classes)}: {name} has {classes}")
        self.classes = classes
        for key in ("num_classes", "out_features"):
            if getattr(self, key) is not None:
                check_fact(key, getattr(self, key), len(classes), f"{name} has {len(classes)} classes")
            setattr(self, key, len(classes))

    def _check_in_features(self) -> None:
        in_features = self.in_channels * self.image_size**2
        pixels = f"{self.in_channels} x {self.image_size} x {self.image_size} pixels are {in_features}"
        check_fact("in_features", self.in_features, in_features, f"{pixels}; set in_channels and image_size instead")
