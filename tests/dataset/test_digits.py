"""The digits come from scikit-learn's file, by whichever way it is read."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from dlhw.dataset import digits


@pytest.fixture(params=["file", "no_file", "no_package"])
def read(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    if request.param == "no_file":
        monkeypatch.setattr(digits, "find_spec", lambda name: np.__spec__)  # a package that has no such file
    if request.param == "no_package":
        monkeypatch.setattr(digits, "find_spec", lambda name: None)
    if request.param == "file":
        monkeypatch.setattr("sklearn.datasets.load_digits", None)  # not called
    return digits.read_table()


def test_they_are_load_digits(read: tuple[np.ndarray, np.ndarray]) -> None:
    images, targets = read
    original = load_digits()
    assert (images.dtype, targets.dtype) == (np.float64, np.int64)
    np.testing.assert_array_equal(images, original.images, strict=True)
    np.testing.assert_array_equal(targets, original.target)
