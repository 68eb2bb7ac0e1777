"""Any images sorted into a folder a class; decoded once and kept as one mapped file."""

import os
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dlhw.dataset.decode import EXTENSIONS, decode
from dlhw.dataset.decoded import SMALL_FILE_BYTES, decoded, digests, fingerprint, mean_bytes
from dlhw.dataset.images import ImageSet
from dlhw.dataset.pool import Pool
from dlhw.dataset.streamed import available_cpus
from dlhw.errors import UserError

CACHE_VERSION = 1  # raise it when decode() gives other pixels


@dataclass(kw_only=True)
class ImageFolder(ImageSet):
    """`<root>/train/<class>/*` and `<root>/test/<class>/*`; or `<root>/<class>/*`, and the test split is drawn.

    A class's images may lie in folders below it. Hidden files, and files that are no images by their extension, are
    passed over.
    """

    TEST_SIZE: ClassVar[float] = 0.2

    root: str
    cache_dir: str  # where the decoded images are kept, a file for each state of the folder

    def __post_init__(self) -> None:
        """Without classes given, the folders say what they are. Raises UserError for the folder, ValueError as ever."""
        if self.classes is None:
            self.classes = _class_names(self._train_root())
        super().__post_init__()

    def read(self) -> tuple[Pool, Pool | None]:
        """Raises UserError: a folder or a broken image, named."""
        train_root = self._train_root()
        found, classes = _class_names(train_root), list(self.classes or [])
        if found != classes:
            raise UserError(
                f"dataset.classes={classes}: {train_root} has {found}; choose the folder that was trained on"
            )
        test_root = train_root.parent / "test"
        has_test = train_root.name == "train" and train_root != self.folder and test_root.is_dir()
        return self._read_pool(train_root), self._read_pool(test_root) if has_test else None

    @property
    def folder(self) -> Path:
        return Path(self.root).expanduser()

    def _train_root(self) -> Path:
        """Raises UserError with the nearest folder."""
        root = self.folder
        if not root.is_dir():
            raise UserError(f"dataset.root={self.root}: is no folder{_nearest(root)}; expected a folder for each class")
        return root / "train" if (root / "train").is_dir() else root

    def _read_pool(self, folder: Path) -> Pool:
        """Images mapped read-only, from a cache whose name changes with every file's size and time."""
        files, targets = self._scan(folder)
        name = f"{folder.resolve().name}-{self._key(folder, files)}"
        threads = 1 if mean_bytes(files) < SMALL_FILE_BYTES else available_cpus()
        shape = (len(files), self.in_channels, self.image_size, self.image_size)
        images = decoded(self.cache_dir, name, shape, lambda row: self._decode(files[row]), threads, "ImageFolder")
        found = digests(self.cache_dir, name, files, threads, "ImageFolder")
        return Pool(images, np.array(targets, np.int64), files, found)

    def _scan(self, folder: Path) -> tuple[list[Path], list[int]]:
        """Image files, class by class and sorted within each (torchvision's order), and their classes."""
        names = _class_names(folder)
        classes = list(self.classes or [])
        if unknown := [name for name in names if name not in classes]:
            raise UserError(f"ImageFolder: {folder / unknown[0]}: a class that is not in train: {', '.join(classes)}")
        files: list[Path] = []
        targets: list[int] = []
        for name in names:
            found = _image_files(folder / name)
            files += found
            targets += [classes.index(name)] * len(found)
        return files, targets

    def _key(self, folder: Path, files: list[Path]) -> str:
        return fingerprint(f"{CACHE_VERSION} {folder.resolve()} {self.in_channels} {self.image_size}", folder, files)

    def _decode(self, file: Path) -> NDArray[np.uint8]:
        try:
            return decode(file, self.in_channels, self.image_size)
        except Exception as error:  # Pillow's readers raise OSError, ValueError, SyntaxError, struct.error, ...
            found = f"{file.stat().st_size:,} bytes" if file.exists() else "no file"
            reason = str(error).replace(str(file), file.name).replace("\n", " ")
            raise UserError(
                f"ImageFolder: {file}: found {found} that cannot be decoded ({reason}), expected an image; "
                "replace it or remove it"
            ) from None


def _class_names(folder: Path) -> list[str]:
    """Sorted. Raises UserError."""
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise UserError(f"ImageFolder: {folder}: found no folders in it, expected one for each class, with its images")
    return names


def _image_files(folder: Path) -> list[Path]:
    """Raises UserError if there is none."""
    files: list[Path] = []
    others: set[str] = set()
    for parent, _, names in sorted(os.walk(folder, followlinks=True)):
        inner = Path(parent)
        if any(part.startswith(".") for part in inner.relative_to(folder).parts):
            continue
        for name in sorted(names):
            if name.startswith("."):
                continue
            extension = Path(name).suffix.lower()
            if extension in EXTENSIONS:
                files.append(inner / name)
            else:
                others.add(extension or name)
    if not files:
        found = f"only {', '.join(sorted(others))}" if others else "nothing"
        raise UserError(f"ImageFolder: {folder}: found {found} in it, expected images ({' '.join(sorted(EXTENSIONS))})")
    return files


def _nearest(path: Path) -> str:
    """A hint: the folder beside the missing one whose name is nearest."""
    existing = path
    while not existing.is_dir() and existing != existing.parent:
        missing, existing = existing.name, existing.parent
    try:
        folders = [entry.name for entry in os.scandir(existing) if entry.is_dir()]
    except OSError:
        return ""
    near = get_close_matches(missing, folders, n=1)
    return f"; did you mean {existing / near[0]}?" if near else f" ({existing} is there, {missing} in it is not)"
