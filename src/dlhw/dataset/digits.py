"""scikit-learn's handwritten digits: 1,797 images of 8x8, in every installation, so that nothing is downloaded."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

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
        from sklearn.datasets import load_digits  # 1.4 s: only a run that wants it pays

        digits = load_digits()
        images = np.round(digits.images * (255 / 16)).astype(np.uint8)[:, None]
        targets = digits.target.astype(np.int64)
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
