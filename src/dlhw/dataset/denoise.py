"""Any set of images with noise over it; the model is to give the clean image back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import torch
from numpy.typing import NDArray
from torch import Tensor

from dlhw.dataset.batches import BlockSplit, Split, Splits, cut
from dlhw.dataset.checks import check_choice, check_fact, check_number
from dlhw.dataset.cifar10 import CIFAR10
from dlhw.dataset.digits import Digits
from dlhw.dataset.image_folder import ImageFolder
from dlhw.dataset.images import ImageSet
from dlhw.dataset.mnist import MNIST, FashionMNIST
from dlhw.dataset.pool import Pool
from dlhw.dataset.seeds import derive
from dlhw.dataset.shard import WHOLE, Shard, epoch_of
from dlhw.dataset.transfer import send

Source = Literal["digits", "mnist", "fashion_mnist", "cifar10", "image_folder"]
SOURCES: dict[Source, type[ImageSet]] = {
    "digits": Digits,
    "mnist": MNIST,
    "fashion_mnist": FashionMNIST,
    "cifar10": CIFAR10,
    "image_folder": ImageFolder,
}

PIECE_VALUES = 2**18  # of noise drawn at a time, in whole images
TRAIN, VAL, TEST = range(3)


class Noisy:
    """Inputs: the image in [0, 1] plus N(0, sigma^2), not clipped; targets: the image. Both (N, C, S, S) float.

    The noise belongs to the place in the epoch's order. It is the same in every pass, unless `augment` is given: then
    one number drawn from that generator decides it, so that whoever restores its state gets the same noise again.
    """

    def __init__(self, clean: BlockSplit, sigma: float, seed: int) -> None:
        self.clean = clean
        self.sigma = sigma
        self.seed = seed

    @property
    def targets(self) -> Tensor:
        """(N, C, S, S), made anew at each call: four bytes a value."""
        preprocess = self.clean.preprocess
        return torch.cat([preprocess(block) for block in self.clean.blocks(None, max(1, len(self)))])

    def __len__(self) -> int:
        return len(self.clean)

    def batches(
        self,
        batch_size: int,
        shuffle: torch.Generator | None = None,
        augment: torch.Generator | None = None,
        shard: Shard = WHOLE,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """See Split.batches."""
        epoch = epoch_of(len(self), batch_size, shuffle, shard)
        seed = self.seed if augment is None else int(torch.randint(2**63 - 1, (), generator=augment))
        noise = Noise(torch.Generator(self.clean.targets.device).manual_seed(seed))
        done = 0
        for images in self.clean.changed_blocks(epoch, augment):
            targets = self.clean.preprocess(images)
            places = None if epoch.places is None else epoch.places[done : done + len(images)]
            yield from cut(epoch.batch_size, targets.add(noise.at(places, targets), alpha=self.sigma), targets)
            done += len(images)

    def raw(self, indices: Sequence[int]) -> NDArray[Any]:
        """See Split.raw: the clean images."""
        return self.clean.raw(indices)


class Noise:
    """N(0, 1) for each place of a pass, from the first one on.

    Always drawn in pieces of one size: where blocks begin and end changes no image's noise.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        self.ahead: Tensor | None = None  # drawn and not yet gone by; float32
        self.gone_by = 0

    def at(self, places: Tensor | None, images: Tensor) -> Tensor:
        """For each image, in its dtype; at places (ascending, beyond those of before), or None: the next in a row."""
        stop = len(images) if places is None else int(places[-1]) + 1 - self.gone_by
        ahead = self.drawn(stop, images.shape[1:])
        here = ahead[:stop]
        if places is not None:
            here = here.index_select(0, send(places - self.gone_by, here.device))
        self.ahead, self.gone_by = ahead[stop:], self.gone_by + stop
        return here.to(images.dtype)

    def drawn(self, count: int, shape: torch.Size) -> Tensor:
        """What is left, and so much more that it is enough for `count` images."""
        piece = max(1, PIECE_VALUES // shape.numel())
        pieces = [] if self.ahead is None else [self.ahead]
        while sum(map(len, pieces)) < count:
            pieces.append(torch.randn(piece, *shape, generator=self.generator, device=self.generator.device))
        return torch.cat(pieces)


@dataclass(kw_only=True)
class Shapes:
    """Channels and side of the sources that are not grey, 28x28; the YAML takes its in_channels and image_size here."""

    cifar10: list[int]
    image_folder: list[int]


@dataclass(kw_only=True)
class Denoise(ImageSet):
    """The images of `source`, split as there; classes play no part but in the choice of images (stratified).

    `augment` changes the clean images before the noise is put over them.
    """

    TEST_SIZE: ClassVar[float] = ImageFolder.TEST_SIZE  # the only source that may have no test pool

    task: Literal["restoration"] = "restoration"  # type: ignore[assignment]
    source: Source
    shapes: Shapes | None = None  # for the YAML alone
    root: str  # where the source's files lie; digits need none
    download: bool = True  # what is missing there
    cache_dir: str  # of image_folder
    sigma: float  # standard deviation of the noise, where black is 0 and white 1
    out_channels: int | None = None

    @property
    def folder(self) -> Path | None:
        """Of a source whose files may change; the others are checked against their md5."""
        return Path(self.root).expanduser() if SOURCES[self.source] is ImageFolder else None

    def read(self) -> tuple[Pool, Pool | None]:
        """The source's own. Raises UserError."""
        kind = SOURCES[self.source]
        files: dict[str, Any] = {}
        if issubclass(kind, MNIST | CIFAR10):
            files = {"root": self.root, "download": self.download}
        elif issubclass(kind, ImageFolder):
            files = {"root": self.root, "cache_dir": self.cache_dir}
        source = kind(
            in_channels=self.in_channels,
            image_size=self.image_size,
            in_features=self.in_features,
            num_classes=None,
            classes=None,
            seed=self.seed,
            val_size=self.val_size,
            **files,
        )
        return source.read()

    def load(self, device: torch.device, dtype: torch.dtype = torch.float32, channels_last: bool = False) -> Splits:
        """Raises UserError."""
        splits = super().load(device, dtype, channels_last)
        val = None if splits.val is None else self._noisy(splits.val, VAL)
        train, test = self._noisy(splits.train, TRAIN), self._noisy(splits.test, TEST)
        return replace(splits, train=train, val=val, test=test)

    def _noisy(self, clean: Split, purpose: int) -> Noisy:
        assert isinstance(clean, BlockSplit)
        return Noisy(clean, self.sigma, derive(self.seed, purpose))

    def _check_values(self) -> None:
        super()._check_values()
        check_choice("source", self.source, get_args(Source))
        check_number("sigma", self.sigma, 0, float("inf"))
        if self.normalize != "none":
            raise ValueError(f"normalize={self.normalize}: targets are images in [0, 1]; expected none")

    def _check_facts(self) -> None:
        self._check_in_features()
        for key in ("classes", "num_classes"):
            check_fact(key, getattr(self, key), None, "the target is an image; expected null")
        for key, fact in (("out_channels", self.in_channels), ("out_features", self.in_features)):
            if getattr(self, key) is not None:
                check_fact(key, getattr(self, key), fact, f"an image has {fact}")
            setattr(self, key, fact)
