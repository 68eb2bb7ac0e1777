"""Oxford-IIIT Pet: photographs of cats and dogs and their trimaps, in the files that torchvision keeps them in."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dlhw.dataset.augment import Augment
from dlhw.dataset.batches import BlockSplit, PixelSplit
from dlhw.dataset.checks import check_fact
from dlhw.dataset.decoded import decoded, fingerprint
from dlhw.dataset.fetch import Remote, fetch
from dlhw.dataset.images import ImageSet
from dlhw.dataset.masked import Masked
from dlhw.dataset.pool import Pool
from dlhw.dataset.streamed import available_cpus
from dlhw.errors import UserError

FOLDER = "oxford-iiit-pet"
CACHE_VERSION = 1  # raise it when decode_pair() gives other pixels
TRIMAP = np.array([1, 0, 2], np.uint8)  # classes of the trimaps' 1 (pet), 2 (background), 3 (border)


@dataclass(kw_only=True)
class Pets(ImageSet):
    """A class for each pixel; 3,680 + 3,669 photographs, squeezed to a square (Parkhi et al. 2012).

    Splits are stratified by breed. Crops and flips take a photograph and its mask alike.
    """

    CLASSES: ClassVar[tuple[str, ...]] = ("background", "pet", "border")

    task: Literal["segmentation"] = "segmentation"  # type: ignore[assignment]
    root: str  # holds oxford-iiit-pet/{images,annotations}
    download: bool = True  # what is missing
    cache_dir: str  # where the decoded images are kept
    out_channels: int | None = None

    @property
    def stored_channels(self) -> int:
        """The mask lies behind the image."""
        return self.in_channels + 1

    @property
    def folder(self) -> Path:
        """Where the two archives are unpacked."""
        return Path(self.root).expanduser() / FOLDER

    def read(self) -> tuple[Pool, Pool]:
        """Images (N, in_channels + 1, S, S), the last channel being the mask; targets are breeds. Raises UserError."""
        listed = [self.folder / "annotations" / f"{part}.txt" for part in ("trainval", "test")]
        self._have("annotations", listed)
        train, test = (self._read_list(file) for file in listed)
        names = [*train, *test]
        self._have("images", [self._image(name) for name in names])
        self._have("annotations", [self._trimap(name) for name in names])
        return self._read_pool("trainval", train), self._read_pool("test", test)

    def _image(self, name: str) -> Path:
        return self.folder / "images" / f"{name}.jpg"

    def _trimap(self, name: str) -> Path:
        return self.folder / "annotations" / "trimaps" / f"{name}.png"

    def _have(self, archive: str, files: list[Path]) -> None:
        """Download `<archive>.tar.gz` if one of the files is missing. Raises UserError if it stays so."""
        missing = next((file for file in files if not file.exists()), None)
        if missing is None:
            return
        packed = self.folder / f"{archive}.tar.gz"
        if not self.download and not packed.exists():
            raise self._wrong(missing, "is missing; set dataset.download=true, or")
        fetch(self._remote(packed.name), packed, unpack="tar", what=f"Pets: {missing}")
        missing = next((file for file in files if not file.exists()), None)
        if missing is not None:
            raise self._wrong(missing, f"is missing, and {packed.name} does not have it;")

    def _remote(self, name: str) -> Remote:
        """Where torchvision fetches the archive from."""
        from torchvision import datasets  # 2 s: only a download pays

        url, md5 = next(found for found in datasets.OxfordIIITPet._RESOURCES if found[0].endswith(f"/{name}"))
        return Remote([url], md5)

    def _read_list(self, file: Path) -> dict[str, int]:
        """Names of photographs, in the file's order, and their breeds from 0."""
        breeds: dict[str, int] = {}
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            words = line.split()
            if line.startswith("#") or not words:
                continue
            if len(words) != 4 or not words[1].isdecimal() or int(words[1]) < 1 or "/" in words[0]:
                raise self._wrong(file, f"found {line!r} in line {number}, expected NAME BREED SPECIES NUMBER;")
            breeds[words[0]] = int(words[1]) - 1
        if not breeds:
            raise self._wrong(file, "found no photographs in it;")
        return breeds

    def _read_pool(self, part: str, breeds: dict[str, int]) -> Pool:
        names, size = list(breeds), self.image_size
        files = [file for name in names for file in (self._image(name), self._trimap(name))]
        settings = f"{CACHE_VERSION} {self.folder.resolve()} {self.in_channels} {size}"
        images = decoded(
            self.cache_dir,
            f"pets-{part}-{fingerprint(settings, self.folder, files)}",
            (len(names), self.stored_channels, size, size),
            lambda row: self._decode(names[row]),
            available_cpus(),
            "Pets",
        )
        return Pool(images, np.array(list(breeds.values()), np.int64))

    def _decode(self, name: str) -> NDArray[np.uint8]:
        try:
            return decode_pair(self._image(name), self._trimap(name), self.in_channels, self.image_size)
        except Exception as error:  # Pillow's readers raise OSError, ValueError, SyntaxError, struct.error, ...
            reason = str(error).replace("\n", " ")
            raise UserError(
                f"Pets: {self._image(name)} or its trimap {self._trimap(name)} cannot be used ({reason}); "
                "delete both to have them unpacked or downloaded again"
            ) from None

    def _place(
        self,
        pool: Pool,
        rows: NDArray[np.int64],
        device: torch.device,
        resident: bool,
        augment: Augment | None = None,
    ) -> PixelSplit:
        stored = super()._place(pool, rows, device, resident, augment)
        assert isinstance(stored, BlockSplit)
        return Masked(stored)

    def _check_values(self) -> None:
        super()._check_values()
        if self.augment is not None and self.augment.rotation:
            raise ValueError(
                f"augment.rotation={self.augment.rotation}: masks are cropped and flipped only; expected 0"
            )

    def _check_facts(self) -> None:
        super()._check_facts()
        if self.out_channels is not None:
            check_fact("out_channels", self.out_channels, self.num_classes, f"Pets has {self.num_classes} classes")
        self.out_channels = self.num_classes

    def _wrong(self, file: Path, problem: str) -> UserError:
        return UserError(
            f"Pets: {file}: {problem} put the original images.tar.gz and annotations.tar.gz into {self.folder}"
        )


def decode_pair(image_file: Path, trimap_file: Path, in_channels: int, image_size: int) -> NDArray[np.uint8]:
    """(in_channels + 1, S, S): the photograph by bilinear interpolation (antialiased), its classes by nearest.

    Unlike decode(), Exif tags turn nothing: the trimaps fit the photographs as they are stored. Raises what Pillow
    raises, and ValueError for a trimap that does not fit.
    """
    square = (image_size, image_size)
    with Image.open(image_file) as image, Image.open(trimap_file) as trimap:
        if image.size != trimap.size:
            raise ValueError(f"sizes {image.size} and {trimap.size} differ")
        photograph = image.convert("L" if in_channels == 1 else "RGB").resize(square, Image.Resampling.BILINEAR)
        values = np.asarray(trimap.resize(square, Image.Resampling.NEAREST))
    if values.ndim != 2 or values.min() < 1 or values.max() > 3:
        raise ValueError(f"the trimap has values {values.min()} to {values.max()}, expected 1 to 3")
    pixels = np.asarray(photograph).reshape(image_size, image_size, in_channels).transpose(2, 0, 1)
    return np.concatenate((pixels, TRIMAP[values - 1][None]))
