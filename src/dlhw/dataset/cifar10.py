"""CIFAR-10, from the batches of its "python version", where torchvision keeps them."""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dlhw.dataset.fetch import Remote, check_md5, fetch
from dlhw.dataset.images import ImageSet
from dlhw.dataset.pool import Pool
from dlhw.errors import UserError

FOLDER = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"

# As torchvision has them. A pickle can run anything: none is opened unless it is one of these.
MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
}


@dataclass(kw_only=True)
class CIFAR10(ImageSet):
    """Small photographs, 32x32 colour, 50,000 + 10,000 (Krizhevsky 2009)."""

    CLASSES: ClassVar[tuple[str, ...]] = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )

    root: str  # holds cifar-10-batches-py/data_batch_1 and so on, or cifar-10-python.tar.gz
    download: bool = True  # if it is missing

    @property
    def folder(self) -> Path:
        """Where the batches lie."""
        return Path(self.root).expanduser() / FOLDER

    def read(self) -> tuple[Pool, Pool]:
        """Every file's md5 is checked before it is opened. Raises UserError."""
        missing = [name for name in MD5 if not (self.folder / name).exists()]
        archive = self.folder.parent / ARCHIVE
        if missing and not self.download and not archive.exists():
            raise self._wrong(missing[0], "is missing; set dataset.download=true, or")
        if missing:
            fetch(self._remote(), archive, unpack="tar", what=f"CIFAR10: {self.folder / missing[0]}")
        for name, md5 in MD5.items():
            if not (self.folder / name).exists():
                raise self._wrong(name, f"is missing, and {ARCHIVE} does not have it;")
            check_md5(self.folder / name, md5, f"CIFAR10: {self.folder / name}")
        self._check_meta()
        train = [self._read_batch(name) for name in MD5 if name.startswith("data_batch")]
        return _join(train), self._read_batch("test_batch")

    def _remote(self) -> Remote:
        """Where torchvision fetches the archive from."""
        from torchvision import datasets  # 2 s: only a download pays

        return Remote([datasets.CIFAR10.url], datasets.CIFAR10.tgz_md5)

    def _check_meta(self) -> None:
        names = self._unpickle("batches.meta").get("label_names")
        if names != list(self.CLASSES):
            raise self._wrong("batches.meta", f"found classes {names}, expected {list(self.CLASSES)};")

    def _read_batch(self, name: str) -> Pool:
        batch = self._unpickle(name)
        data, labels = batch.get("data"), batch.get("labels")
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3 * 32 * 32,):
            raise self._wrong(name, "found no data of N x 3072 bytes, expected CIFAR-10's images;")
        if not isinstance(labels, list) or len(labels) != len(data):
            raise self._wrong(name, f"found no list of {len(data)} labels, expected one an image;")
        targets: NDArray[np.int64] = np.array(labels, np.int64)
        if targets.size and (targets.min() < 0 or targets.max() > 9):
            raise self._wrong(name, f"found labels {targets.min()} to {targets.max()}, expected 0 to 9;")
        return Pool(data.reshape(-1, 3, 32, 32), targets)

    def _unpickle(self, name: str) -> dict[str, Any]:
        try:
            content = _ArraysOnly(io.BytesIO((self.folder / name).read_bytes()), encoding="latin1").load()
        except Exception as error:  # a broken pickle can raise anything
            raise self._wrong(name, f"could not be read ({error});") from None
        if not isinstance(content, dict):
            raise self._wrong(name, f"found a {type(content).__name__}, expected a dict;")
        return content

    def _wrong(self, name: str, problem: str) -> UserError:
        return UserError(
            f"CIFAR10: {self.folder / name}: {problem} put the original {ARCHIVE} into {self.folder.parent}"
        )


def _join(pools: list[Pool]) -> Pool:
    return Pool(np.concatenate([pool.images for pool in pools]), np.concatenate([pool.targets for pool in pools]))


class _ArraysOnly(pickle.Unpickler):
    """Builds NumPy arrays and Python's own containers; anything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes for Python 2
            return _encode
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np.ndarray(0).__reduce__()[0]  # wherever this NumPy keeps it
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return _dtype
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no batch needs")


def _encode(text: str, encoding: str) -> bytes:
    return text.encode(encoding)


def _dtype(kind: str, align: int = 0, copy: int = 0) -> np.dtype[Any]:
    """The batches' pickles are Python 2's, with 0 and 1 where NumPy 2.4 wants booleans."""
    return np.dtype(kind, align=bool(align), copy=bool(copy))
