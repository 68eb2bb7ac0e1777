"""Which epoch is best and when to stop, on rows made by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlhw.errors import UserError
from dlhw.monitor import Monitor, make_monitor

NAMES = ("loss", "accuracy")


def follow(monitor: Monitor, values: list[float]) -> tuple[list[bool], int | None]:
    """Each epoch's answer, and the epoch after which patience ran out."""
    answers = []
    for epoch, value in enumerate(values, start=1):
        answers.append(monitor.better({"epoch": epoch, monitor.metric: value}))
        if monitor.out_of_patience:
            return answers, epoch
    return answers, None


@pytest.mark.parametrize(
    ("mode", "values", "best_epoch"),
    [
        ("max", [0.1, 0.5, 0.5, 0.4], 2),  # a tie: the first
        ("min", [0.5, 0.1, 0.1, 0.2], 2),
        ("max", [0.9, 0.1], 1),
        ("max", [math.nan, 0.1, math.nan, 0.2], 4),
        ("min", [math.nan, math.nan], None),
        ("min", [math.inf, 3.0], 2),
    ],
)
def test_best_epoch(mode, values, best_epoch):
    monitor = Monitor("val/x", mode)
    follow(monitor, values)
    assert monitor.best_epoch == best_epoch
    assert math.isnan(monitor.best) if best_epoch is None else monitor.best == values[best_epoch - 1]


@given(st.lists(st.floats(-10, 10), min_size=1), st.sampled_from(["min", "max"]))
def test_best_is_the_extreme_of_the_column(values, mode):
    monitor = Monitor("val/x", mode)
    answers, _ = follow(monitor, values)
    extreme = {"min": min, "max": max}[mode](values)
    assert monitor.best == extreme
    assert monitor.best_epoch == values.index(extreme) + 1
    assert answers[0]
    assert [epoch for epoch, better in enumerate(answers, start=1) if better][-1] == monitor.best_epoch


@pytest.mark.parametrize(
    ("patience", "min_delta", "values", "stops_after"),
    [
        (1, 0.0, [0.5, 0.6, 0.6, 0.9], 3),
        (2, 0.0, [0.5, 0.4, 0.3, 0.9], 3),
        (2, 0.0, [0.5, 0.4, 0.6, 0.5, 0.6, 0.9], 5),
        (3, 0.0, [0.5, 0.4, 0.4, 0.6], None),
        (2, 0.1, [0.5, 0.55, 0.58, 0.9], 3),  # better, but never by a tenth
        (2, 0.1, [0.5, 0.55, 0.65, 0.66, 0.7], 5),  # small gains count against the last large one
        (2, 0.0, [0.5, math.nan, math.nan, 0.9], 3),
        (2, 0.0, [math.nan, math.nan, 0.9], 2),
        (None, 0.0, [0.5] * 50, None),
    ],
)
def test_patience(patience, min_delta, values, stops_after):
    assert follow(Monitor("val/x", "max", patience, min_delta), values)[1] == stops_after
    assert follow(Monitor("val/x", "min", patience, min_delta), [-value for value in values])[1] == stops_after


def test_a_gain_below_min_delta_is_still_the_best_epoch():
    monitor = Monitor("val/x", "max", 5, 0.1)
    assert follow(monitor, [0.5, 0.55, 0.54])[0] == [True, True, False]
    assert (monitor.best, monitor.best_epoch, monitor.waited) == (0.55, 2, 2)


@pytest.mark.parametrize("cut", range(1, 6))
def test_a_saved_state_goes_on(cut):
    values = [0.5, 0.4, 0.6, 0.5, 0.6, 0.9]
    whole, first, second = (Monitor("val/x", "max", 3) for _ in range(3))
    expected, _ = follow(whole, values)
    answers, _ = follow(first, values[:cut])
    second.load_state_dict(first.state_dict())
    answers += [second.better({"epoch": cut + i, "val/x": v}) for i, v in enumerate(values[cut:], start=1)]
    assert answers == expected
    assert second.state_dict() == whole.state_dict()


@pytest.mark.parametrize(
    ("metric", "mode", "chosen"),
    [
        ("val/accuracy", "auto", "max"),
        ("val/loss", "auto", "min"),
        ("train/loss", "auto", "min"),
        ("train/accuracy", "auto", "max"),
        ("val/loss", "max", "max"),
        ("val/accuracy", "min", "min"),
    ],
)
def test_mode(metric, mode, chosen):
    assert make_monitor(metric, mode, None, 0.0, NAMES, has_val=True).mode == chosen


@pytest.mark.parametrize(
    ("names", "metric", "mode"),
    [
        (("loss", "accuracy"), "val/accuracy", "max"),
        (("loss", "miou", "dice", "pixel_accuracy"), "val/miou", "max"),
        (("loss", "psnr"), "val/psnr", "max"),
        (("loss", "mse", "mae"), "val/mse", "min"),
    ],
)
def test_auto_watches_the_tasks_first_metric(names, metric, mode):
    monitor = make_monitor("auto", "auto", None, 0.0, names, has_val=True)
    assert (monitor.metric, monitor.mode) == (metric, mode)
    assert make_monitor("auto", "auto", None, 0.0, names, has_val=False) is None
    with pytest.raises(UserError, match=f"patience=3 watches {metric}, but dataset.val_size=0"):
        make_monitor("auto", "auto", 3, 0.0, names, has_val=False)


def test_without_a_validation_split_nothing_is_chosen_unless_a_training_column_is_named():
    assert make_monitor("val/accuracy", "auto", None, 0.0, NAMES, has_val=False) is None
    assert make_monitor("train/loss", "auto", 3, 0.0, NAMES, has_val=False).metric == "train/loss"


@pytest.mark.parametrize(
    ("metric", "patience", "has_val", "words"),
    [
        ("test/accuracy", None, True, "monitor.metric=test/accuracy: "),
        ("val/f1", None, True, "is one of val/loss, val/accuracy, train/loss, train/accuracy"),
        ("accuracy", None, True, "is one of val/loss"),
        ("val/accuracy", 3, False, "early_stopping.patience=3 watches val/accuracy, but dataset.val_size=0"),
    ],
)
def test_refused(metric, patience, has_val, words):
    with pytest.raises(UserError) as refusal:
        make_monitor(metric, "auto", patience, 0.0, NAMES, has_val)
    assert words in str(refusal.value)
