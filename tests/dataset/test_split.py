import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from dlhw.dataset.split import check_size, split, stratified

BOTH = ["stratified", "first"]


def draw(targets, test_targets=None, train_size=None, val_size=0, test_size=None, sampling="stratified", seed=0):
    sizes = {"train_size": train_size, "val_size": val_size, "test_size": test_size}
    return split(np.asarray(targets), test_targets, **sizes, sampling=sampling, seed=seed)


def counts(targets, rows, classes=10):
    return np.bincount(np.asarray(targets)[rows], minlength=classes)


@settings(max_examples=150, deadline=None)
@given(
    targets=st.lists(st.integers(0, 5), min_size=10, max_size=120),
    test_size=st.integers(1, 3) | st.floats(0.1, 0.3),
    val_size=st.integers(0, 3) | st.floats(0.1, 0.3),
    train_size=st.none() | st.integers(1, 3) | st.floats(0.1, 0.2),
    sampling=st.sampled_from(BOTH),
    seed=st.integers(0, 2**32),
)
def test_splits_are_disjoint_sorted_and_exact(targets, test_size, val_size, train_size, sampling, seed):
    got = draw(targets, None, train_size, val_size, test_size, sampling, seed)
    parts = [part for part in (got.train, got.val, got.test) if part is not None]
    together = np.concatenate(parts)
    assert len(np.unique(together)) == len(together) <= len(targets)
    assert together.min() >= 0
    assert together.max() < len(targets)
    assert all((np.diff(part) > 0).all() for part in parts)
    if train_size is None:
        assert len(together) == len(targets)
    rest = len(targets) - len(got.test)
    for size, part, total in (
        (test_size, got.test, len(targets)),
        (val_size, got.val, rest),
        (train_size, got.train, rest),
    ):
        if size:
            assert len(part) == (size if isinstance(size, int) else int(np.floor(size * total + 0.5)))


@settings(max_examples=150, deadline=None)
@given(
    targets=st.lists(st.integers(0, 7), min_size=5, max_size=200),
    val_share=st.floats(0, 0.7),
    train_share=st.floats(0.01, 1),
    seed=st.integers(0, 1000),
)
def test_class_shares_are_kept_within_one_image(targets, val_share, train_share, seed):
    targets = np.array(targets)
    val_size = int(val_share * len(targets))
    train_size = max(1, int(train_share * (len(targets) - val_size)))
    got = draw(targets, targets, train_size, val_size, None, seed=seed)
    for rows in (got.train, got.val):
        if rows is not None:
            share = counts(targets, slice(None)) * len(rows) / len(targets)
            assert (np.abs(counts(targets, rows) - share) < 1 + 1e-9).all()


def test_counts_agree_with_scikit_learn(rng):
    targets = rng.choice(5, 1000, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    got = draw(targets, None, None, 0, 300)
    _, theirs = train_test_split(np.arange(1000), test_size=300, stratify=targets, random_state=0)
    assert np.abs(counts(targets, got.test, 5) - counts(targets, theirs, 5)).max() <= 1


def test_splits_do_not_depend_on_each_other():
    targets = np.arange(300) % 10
    base = draw(targets, None, None, 30, 50)
    fewer = draw(targets, None, 40, 30, 50)
    more_val = draw(targets, None, None, 60, 50)
    np.testing.assert_array_equal(base.val, fewer.val)
    np.testing.assert_array_equal(base.test, fewer.test)
    np.testing.assert_array_equal(base.test, more_val.test)
    assert set(fewer.train) <= set(base.train)
    assert set(draw(targets, None, 40, 30, 50).train) <= set(draw(targets, None, 80, 30, 50).train)


def test_seed_decides():
    targets = np.arange(300) % 10
    first, same, other = (draw(targets, None, 50, 30, 50, seed=seed) for seed in (1, 1, 2))
    for part in ("train", "val", "test"):
        np.testing.assert_array_equal(getattr(first, part), getattr(same, part))
        assert not np.array_equal(getattr(first, part), getattr(other, part))


def test_first_takes_file_order_and_val_from_the_rest():
    targets = np.arange(200) % 10
    got = draw(targets, targets[:60], 50, 20, 10, "first")
    np.testing.assert_array_equal(got.train, np.arange(50))
    np.testing.assert_array_equal(got.test, np.arange(10))
    assert got.val.min() >= 50
    assert (counts(targets, got.val) == 2).all()


def test_null_is_everything_and_no_val_is_none():
    targets = np.arange(100) % 10
    got = draw(targets, targets[:30])
    assert got.val is None
    np.testing.assert_array_equal(got.train, np.arange(100))
    np.testing.assert_array_equal(got.test, np.arange(30))


def test_a_class_with_one_image_does_no_harm():
    targets = np.array([0] * 50 + [1] * 50 + [2])
    got = draw(targets, None, 30, 30, 30)
    assert [len(part) for part in (got.train, got.val, got.test)] == [30, 30, 30]


def test_stratified_makes_up_for_a_class_that_has_run_out(rng):
    targets = np.array([0] * 50 + [1] * 50)
    rows = stratified(targets, np.arange(45, 100), 40, rng)
    assert counts(targets, rows, 2).tolist() == [5, 35]


@pytest.mark.parametrize("size", [True, False, -1, 1.5, 1.0, -0.1, float("nan"), float("inf"), "5", [5]])
@pytest.mark.parametrize("key", ["train_size", "val_size", "test_size"])
def test_sizes_that_are_neither_count_nor_fraction(key, size):
    with pytest.raises(ValueError, match=f"^{key}=.*: expected a whole number from"):
        check_size(key, size)


@pytest.mark.parametrize(("key", "size"), [("train_size", 0), ("test_size", 0), ("val_size", None)])
def test_sizes_that_leave_nothing_to_work_on(key, size):
    with pytest.raises(ValueError, match=f"^{key}={size}: "):
        check_size(key, size)


@pytest.mark.parametrize("size", [1, 5000, 5e3, 0.5, 1e-3])
def test_sizes_that_are_allowed(size):
    check_size("train_size", size)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"test_size": 101}, r"^test_size=101: is 101 images, more than the 100 there are$"),
        ({"val_size": 101}, r"^val_size=101: .*more than the 100 there are$"),
        ({"val_size": 100}, r"^val_size=100: leaves none of the 100 images to train on$"),
        ({"val_size": 20, "train_size": 81}, r"^train_size=81: .*more than the 80 that val_size leaves$"),
        ({"val_size": 0.001}, r"^val_size=0.001: is not even one of the 100 images$"),
        ({"train_size": 90, "val_size": 20, "sampling": "first"}, r"^val_size=20: .*the 10 that train_size leaves$"),
    ],
)
def test_more_than_there_are(sizes, message):
    targets = np.arange(100) % 10
    with pytest.raises(ValueError, match=message):
        draw(targets, targets, **sizes)
