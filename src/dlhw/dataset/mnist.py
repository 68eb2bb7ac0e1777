"""MNIST and Fashion-MNIST, in the files and folders that torchvision keeps them in."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dlhw.dataset import idx
from dlhw.dataset.fetch import Remote, fetch
from dlhw.dataset.images import ImageSet
from dlhw.dataset.pool import Pool
from dlhw.errors import UserError

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

# Of the unpacked files, by folder; checked before anything is trained on them.
MD5: dict[str, tuple[str, ...]] = {
    "MNIST": (
        "6bbc9ace898e44ae57da46a324031adb",
        "a25bea736e30d166cdddb491f175f624",
        "2646ac647ad5339dbf082846283269ea",
        "27ae3e4e09519cfbb04c329615203637",
    ),
    "FashionMNIST": (
        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "9018921c3c673c538a1fc5bad174d6f9",
        "8181f5470baa50b63fa0f6fddb340f0a",
        "15d484375f8d13e6eb1aabb0c3f46965",
    ),
}


@dataclass(kw_only=True)
class MNIST(ImageSet):
    """Handwritten digits, 28x28 grey, 60,000 + 10,000 (LeCun, Cortes, Burges 1998)."""

    CLASSES: ClassVar[tuple[str, ...]] = tuple("0123456789")

    root: str  # holds <set>/raw/train-images-idx3-ubyte and so on, or the .gz of each
    download: bool = True  # what is missing

    @property
    def folder(self) -> Path:
        """Where the four files lie."""
        return Path(self.root).expanduser() / type(self).__name__ / "raw"

    def read(self) -> tuple[Pool, Pool]:
        """Every file checked: presence, header, size, labels, counts, md5. Raises UserError."""
        missing = [name for name in FILES if not self._is_there(name)]
        if missing and not self.download:
            raise self._wrong(missing[0], "is missing", "set dataset.download=true, or ")
        for name in missing:
            fetch(self._remote(name), self.folder / f"{name}.gz", unpack="gz", what=self._what(name))
        md5 = dict(zip(FILES, MD5[type(self).__name__], strict=True))
        return self._read_pool(*FILES[:2], md5), self._read_pool(*FILES[2:], md5)

    def _is_there(self, name: str) -> bool:
        return (self.folder / name).exists() or (self.folder / f"{name}.gz").exists()

    def _remote(self, name: str) -> Remote:
        """Where torchvision fetches the packed file from."""
        import torchvision  # 2 s: only a download pays

        source = getattr(torchvision.datasets, type(self).__name__)
        md5 = dict(source.resources)[f"{name}.gz"]
        return Remote([f"{mirror}{name}.gz" for mirror in source.mirrors], md5)

    def _read_pool(self, images_name: str, labels_name: str, md5: dict[str, str]) -> Pool:
        labels, labels_content = self._read_file(labels_name, ())
        images, images_content = self._read_file(images_name, (28, 28))
        if labels.size and labels.max() >= 10:
            row = int(labels.argmax())
            raise self._wrong(labels_name, f"found label {labels[row]} at position {row}, expected 0 to 9")
        if len(labels) != len(images):
            raise self._wrong(labels_name, f"found {len(labels):,} labels, expected {len(images):,}, one an image")
        for name, content in ((images_name, images_content), (labels_name, labels_content)):
            try:
                idx.check_md5(content, md5[name])
            except idx.IdxError as error:
                raise self._wrong(name, str(error)) from None
        return Pool(images[:, None], labels.astype(np.int64))

    def _read_file(self, name: str, shape: tuple[int, ...]) -> tuple[NDArray[np.uint8], bytes]:
        try:
            content = idx.read_bytes(self.folder / name)
            return idx.parse(content, shape), content
        except (idx.IdxError, OSError) as error:
            raise self._wrong(name, str(error)) from None

    def _what(self, name: str) -> str:
        return f"{type(self).__name__}: {self.folder / name}"

    def _wrong(self, name: str, problem: str, otherwise: str = "") -> UserError:
        redo = "delete it to have it downloaded again, or " if self.download and not otherwise else otherwise
        return UserError(f"{self._what(name)}: {problem}; {redo}put the original {name} (or {name}.gz) there")


@dataclass(kw_only=True)
class FashionMNIST(MNIST):
    """Zalando's articles of clothing, in MNIST's form, 28x28 grey, 60,000 + 10,000 (Xiao, Rasul, Vollgraf 2017)."""

    CLASSES: ClassVar[tuple[str, ...]] = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
