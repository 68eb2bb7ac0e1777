import math

import numpy as np
import pytest
import torch
from task_sets import CPU, everything, seeded, sine

from dlhw.errors import UserError


def parts(dataset, dtype=torch.float64):
    splits = dataset.load(CPU, dtype)
    return splits.train, splits.val, splits.test


def test_a_clean_sine_and_its_next_value():
    dataset = sine(noise=0)
    assert (dataset.task, dataset.input_shape, dataset.classes) == ("sequence", (20, 1), None)
    test = parts(dataset)[2]
    inputs, targets = everything(test)
    assert inputs.shape == (60, 20, 1)
    assert targets.shape == (60, 1)
    truth = np.sin(2 * math.pi * np.arange(500) / 25.3)[-80:]
    for row in range(60):
        np.testing.assert_allclose(inputs[row, :, 0], truth[row : row + 20], atol=1e-12)
        np.testing.assert_allclose(targets[row, 0], truth[row + 20], atol=1e-12)


def test_the_stretches_follow_one_another_without_overlap():
    splits = parts(sine())
    values, clean = (torch.cat(each) for each in zip(*(split.sequence() for split in splits), strict=True))
    assert [len(split) for split in splits] == [500 - 110 - 60, 50, 60]
    assert len(values) == 500
    assert torch.allclose(clean, torch.sin(torch.arange(500, dtype=torch.float64) * 2 * math.pi / 25.3))
    assert len(values.unique()) == 500  # so that equal values are one and the same
    seen = [set(everything(split)[0].flatten().tolist() + split.targets.flatten().tolist()) for split in splits]
    assert seen[0].isdisjoint(seen[1])
    assert seen[1].isdisjoint(seen[2])
    assert seen[0].isdisjoint(seen[2])


def test_windows_tile_their_stretch():
    for split in parts(sine()):
        values, _ = split.sequence()
        inputs, targets = everything(split)
        assert torch.equal(torch.cat((inputs[0, :, 0], targets[:, 0])), values)
        assert torch.equal(inputs[1:, -1], targets[:-1])


def test_the_noise_has_its_std_and_is_normal():
    train = parts(sine(length=20000, noise=0.1))[0]
    values, clean = train.sequence()
    noise = (values - clean) / 0.1
    assert abs(noise.std() - 1) < 0.02
    assert abs(noise.mean()) < 0.03
    assert abs((noise.abs() < 1).double().mean() - 0.6827) < 0.015


def test_persistence_of_a_clean_sine_is_the_formulas():
    test = parts(sine(noise=0, length=5000, test_size=253 * 10))[2]
    inputs, targets = everything(test)
    error = (inputs[:, -1] - targets).square().mean()
    assert abs(error - 2 * math.sin(math.pi / 25.3) ** 2) < 1e-6


def test_a_seed_decides_and_sizes_do_not():
    first, same, other, shorter = (
        parts(sine(**changed)) for changed in ({}, {}, {"seed": 1}, {"train_size": 40, "val_size": 30})
    )
    for a, b, c in zip(first, same, other, strict=True):
        assert torch.equal(a.values, b.values)
        assert not torch.equal(a.values, c.values)
    assert torch.equal(first[2].values, shorter[2].values)
    assert torch.equal(first[1].values[20:], shorter[1].values)
    assert [len(split) for split in shorter] == [40, 30, 60]


def test_shuffled_windows_keep_their_targets():
    train = parts(sine(noise=0.1))[0]
    inputs, targets = everything(train, 32, shuffle=seeded(0))
    order = torch.randperm(len(train), generator=seeded(0))
    assert torch.equal(inputs, train.inputs[order])
    assert torch.equal(targets, train.targets[order])


def test_fractions_and_no_validation():
    splits = sine(val_size=0, test_size=0.2).load(CPU)
    assert splits.val is None
    assert (len(splits.train), len(splits.test)) == (500 - 120 - 20, 100)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"period": 1}, "period=1: expected a number from 2"),
        ({"period": float("nan")}, "period=nan: expected"),
        ({"noise": -0.1}, "noise=-0.1: expected a number from 0"),
        ({"window": 0}, "window=0: expected a whole number from 1"),
        ({"length": 10.5}, "length=10.5: expected a whole number from 1"),
        ({"in_features": 20}, "in_features=20: Sine has 1"),
        ({"test_size": None}, "test_size=None: expected"),
        ({"val_size": 1.5}, "val_size=1.5: expected a whole number"),
    ],
)
def test_wrong_values_are_refused(wrong, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        sine(**wrong)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"test_size": 481}, "test_size=481: is 481 windows, more than the 480 of 20 that are left"),
        ({"val_size": 401}, "val_size=401: is 401 windows, more than the 400"),
        ({"train_size": 331}, "train_size=331: is 331 windows, more than the 330"),
        ({"test_size": 460}, "train_size=None: leaves no window of 20 values; raise dataset.length=500"),
        ({"length": 15}, "test_size=60: is 60 windows, more than the 0"),
    ],
)
def test_more_windows_than_there_are(sizes, message):
    with pytest.raises(UserError, match=f"^dataset.{message}"):
        sine(**{"val_size": 0 if "test_size" in sizes else 50} | sizes).load(CPU)
