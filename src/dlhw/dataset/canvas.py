"""Digits or clothes scattered on a noisy canvas, and the class of each pixel: drawn from the seed, nothing stored."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from dlhw.dataset.batches import Resident, Splits
from dlhw.dataset.checks import check_choice, check_count, check_fact, check_number
from dlhw.dataset.digits import Digits
from dlhw.dataset.images import ImageSet
from dlhw.dataset.masked import Masked
from dlhw.dataset.mnist import MNIST, FashionMNIST
from dlhw.dataset.pool import Pool, convert
from dlhw.dataset.preprocess import Preprocess
from dlhw.dataset.seeds import derive
from dlhw.dataset.split import split

Source = Literal["digits", "mnist", "fashion_mnist"]
SOURCES: dict[Source, type[ImageSet]] = {"digits": Digits, "mnist": MNIST, "fashion_mnist": FashionMNIST}

BACKGROUND = "background"
VAL_SHARE = 0.1  # of the source's train pool: objects that only validation's canvases show
CHUNK = 250  # canvases drawn and painted at a time; the first n of more are the same n


@dataclass(frozen=True)
class Draws:
    """What was drawn for N canvases of at most K objects: CPU tensors, so that CPU and GPU paint the same."""

    count: Tensor  # (N,) int64, objects on each
    rows: Tensor  # (N, K) int64, which object each is
    top: Tensor  # (N, K) int64
    left: Tensor  # (N, K) int64
    noise: Tensor  # (N, S, S) uint8


@dataclass(kw_only=True)
class Canvas:
    """Each canvas: uniform noise, and over it some objects at random places, later ones over earlier ones.

    An object covers those pixels where it is brighter than the threshold; elsewhere the canvas shows. The objects of
    train, val and test are separate images: of val, a tenth of the source's train pool; of test, its test pool.
    """

    CLASSES: ClassVar[dict[Source, tuple[str, ...]]] = {
        source: (BACKGROUND, *(kind.CLASSES or ())) for source, kind in SOURCES.items()
    }

    task: Literal["segmentation"] = "segmentation"
    source: Source
    root: str  # where the source's files lie; digits need none
    download: bool = True  # what is missing there
    object_size: int  # side, in pixels, of a source image on the canvas
    objects: list[int]  # least and most on a canvas
    threshold: float  # of brightness, from 0 to 1
    noise: float  # uniform, from 0 to this
    in_channels: int = 1
    image_size: int  # side of the canvas
    in_features: int
    classes: list[str] | None = None
    num_classes: int | None = None
    out_channels: int | None = None
    out_features: int | None = None
    seed: int
    train_size: int  # canvases
    val_size: int
    test_size: int

    def __post_init__(self) -> None:
        """Raises ValueError, one line that begins with key=value."""
        check_choice("task", self.task, ("segmentation",))
        check_choice("source", self.source, get_args(Source))
        check_count("object_size", self.object_size, 1)
        check_count("image_size", self.image_size, 1)
        if self.object_size > self.image_size:
            raise ValueError(
                f"object_size={self.object_size}: does not fit on a canvas of image_size={self.image_size}"
            )
        self._check_objects()
        check_number("threshold", self.threshold, 0, 1)
        check_number("noise", self.noise, 0, 1)
        check_fact("in_channels", self.in_channels, 1, "a canvas is grey; expected 1")
        pixels = self.image_size**2
        check_fact(
            "in_features", self.in_features, pixels, f"{self.image_size} x {self.image_size} pixels are {pixels}"
        )
        classes = list(self.CLASSES[self.source])
        if self.classes is not None:
            check_fact("classes", list(self.classes), classes, f"Canvas of {self.source} has {classes}")
        self.classes = classes
        for key in ("num_classes", "out_channels", "out_features"):
            if getattr(self, key) is not None:
                reason = f"Canvas of {self.source} has {len(classes)} classes"
                check_fact(key, getattr(self, key), len(classes), reason)
            setattr(self, key, len(classes))
        check_count("seed", self.seed, 0)
        for key, least in (("train_size", 1), ("val_size", 0), ("test_size", 1)):
            check_count(key, getattr(self, key), least, " (canvases)")

    def _check_objects(self) -> None:
        counts = list(self.objects)
        if len(counts) != 2 or not all(type(count) is int for count in counts) or not 0 <= counts[0] <= counts[1]:
            raise ValueError(f"objects={counts}: expected two whole numbers, the least and the most on a canvas")
        if counts[1] == 0:
            raise ValueError(f"objects={counts}: expected a most of at least 1")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one sample: (1, S, S)."""
        return (1, self.image_size, self.image_size)

    def load(self, device: torch.device, dtype: torch.dtype = torch.float32, channels_last: bool = False) -> Splits:
        """Paint all canvases on the device, where they stay as uint8. Raises UserError for the source's files."""
        pools = self._pools()
        sizes = (self.train_size, self.val_size, self.test_size)
        preprocess = Preprocess(dtype=dtype, channels_last=channels_last)
        parts: list[Masked | None] = []
        for purpose, (pool, size) in enumerate(zip(pools, sizes, strict=True)):
            parts.append(Masked(self._paint_all(pool, size, derive(self.seed, purpose), device)) if size else None)
            if (part := parts[-1]) is not None:
                part.preprocess = preprocess
        train, val, test = parts
        assert train is not None
        assert test is not None
        return Splits(train, val, test, preprocess, self.classes)

    def _pools(self) -> tuple[Pool, Pool, Pool]:
        """Objects for train, val and test: no image of the source is in two of them."""
        kind = SOURCES[self.source]
        files: dict[str, Any] = {"root": self.root, "download": self.download} if issubclass(kind, MNIST) else {}
        size = self.object_size
        source = kind(
            in_channels=1,
            image_size=size,
            in_features=size**2,
            num_classes=None,
            classes=None,
            seed=self.seed,
            val_size=VAL_SHARE,
            **files,
        )
        train_pool, test_pool = source.read()
        assert test_pool is not None  # every source has a test pool
        rows = split(
            train_pool.targets,
            test_pool.targets,
            train_size=None,
            val_size=VAL_SHARE,
            test_size=None,
            sampling="stratified",
            seed=self.seed,
        )
        assert rows.val is not None
        chosen = ((train_pool, rows.train), (train_pool, rows.val), (test_pool, rows.test))
        train, val, test = (Pool(convert(pool.images, part, 1, size), pool.targets[part]) for pool, part in chosen)
        return train, val, test

    def _paint_all(self, pool: Pool, size: int, seed: int, device: torch.device) -> Resident:
        """`size` canvases, chunk by chunk, each with its mask as a second channel."""
        generator = torch.Generator().manual_seed(seed)
        objects = torch.from_numpy(pool.images[:, 0]).to(device)
        labels = torch.from_numpy((pool.targets + 1).astype(np.uint8)).to(device)
        canvases = torch.empty(size, 2, self.image_size, self.image_size, dtype=torch.uint8, device=device)
        for start in range(0, size, CHUNK):
            part = canvases[start : start + CHUNK]
            part.copy_(paint(objects, labels, self._draw(len(pool), generator), self.threshold)[: len(part)])
        return Resident(canvases, torch.zeros(size, dtype=torch.int64, device=device))

    def _draw(self, pool_size: int, generator: torch.Generator) -> Draws:
        """Numbers for a chunk."""
        least, most = self.objects
        shape, places = (CHUNK, most), self.image_size - self.object_size + 1
        count = torch.randint(least, most + 1, (CHUNK,), generator=generator)
        rows = torch.randint(pool_size, shape, generator=generator)
        top, left = torch.randint(places, (2, *shape), generator=generator)
        canvas = (CHUNK, self.image_size, self.image_size)
        noise = torch.randint(round(255 * self.noise) + 1, canvas, generator=generator, dtype=torch.uint8)
        return Draws(count, rows, top, left, noise)


def paint(objects: Tensor, labels: Tensor, draws: Draws, threshold: float) -> Tensor:
    """(N, 2, S, S) uint8: canvases and their masks, from (M, H, H) uint8 objects and their (M,) uint8 labels."""
    device, side, size = objects.device, draws.noise.shape[-1], objects.shape[-1]
    canvas = draws.noise.to(device).flatten(1)
    mask = torch.zeros_like(canvas)
    rows, count = draws.rows.to(device), draws.count.to(device)
    corners = (draws.top * side + draws.left).to(device)
    window = (torch.arange(size)[:, None] * side + torch.arange(size)).flatten().to(device)
    for turn in range(rows.shape[1]):
        places = corners[:, turn, None] + window  # (N, H * H), each its own pixel of the canvas
        pixels = objects.index_select(0, rows[:, turn]).flatten(1)
        labels_here = labels.index_select(0, rows[:, turn])[:, None]
        covers = (pixels > math.floor(255 * threshold)) & (turn < count)[:, None]
        for values, below in ((pixels, canvas), (labels_here, mask)):
            below.scatter_(1, places, torch.where(covers, values, below.gather(1, places)))
    return torch.stack((canvas, mask), dim=1).view(-1, 2, side, side)
