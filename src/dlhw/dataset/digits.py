"""scikit-learn's handwritten digits: 1,797 images of 8x8, in every installation, so that nothing is downloaded."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dlhw.dataset.images import ImageSet
from dlhw.dataset.pool import Pool
from dlhw.dataset.split import split

TEST_IMAGES = 360  # a fifth; the set has no test images of its own, so these are fixed, whatever the run's seed is
TEST_SEED = 0


@dataclass(kw_only=True)
class Digits(ImageSet):
    """`sklearn.datasets.load_digits`: UCI's optical recognition of handwritten digits, test part (Alpaydin 1998).

    Its grey values 0..16 become 0..255; image_size 8 keeps the pixels as they are, 28 has MNIST's shape.
    """

    CLASSES: ClassVar[tuple[str, ...]] = tuple("0123456789")

    def read(self) -> tuple[Pool, Pool]:
        """1,437 images to train and validate on, 360 (stratified) for the test."""
        values, targets = read_table()
        images = np.round(values * (255 / 16)).astype(np.uint8)[:, None]
        rows = split(
            targets,
            None,
            train_size=None,
            val_size=0,
            test_size=TEST_IMAGES,
            sampling="stratified",
            seed=TEST_SEED,
        )
        return Pool(images[rows.train], targets[rows.train]), Pool(images[rows.test], targets[rows.test])


def read_table() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """load_digits' images (1797, 8, 8), 0..16, and targets (1797,), from the file in scikit-learn that it reads.

    The import of scikit-learn would cost 0.8 s; it is left to a version that keeps the file elsewhere.
    """
    found = find_spec("sklearn")
    path = Path(found.origin).parent / "datasets/data/digits.csv.gz" if found and found.origin else None
    if path is None or not path.is_file():
        from sklearn.datasets import load_digits

        digits = load_digits()
        return digits.images, digits.target.astype(np.int64)
    table = np.loadtxt(path, np.uint8, delimiter=",")  # (1797, 65): 64 pixels, and the digit
    return table[:, :-1].reshape(-1, 8, 8).astype(np.float64), table[:, -1].astype(np.int64)
