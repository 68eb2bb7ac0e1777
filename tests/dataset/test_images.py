import inspect
import typing

import numpy as np
import pytest
import torch
from small_sets import facts, load_all

from dlhw.dataset import images as images_module
from dlhw.dataset.augment import Augment
from dlhw.dataset.batches import Resident
from dlhw.dataset.digits import Digits
from dlhw.dataset.streamed import Streamed
from dlhw.errors import UserError

CPU = torch.device("cpu")


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    got = Digits(**facts(image_size=8))
    train_inputs, train_targets, test_inputs, test_targets = load_all(got)
    assert (len(train_inputs), len(test_inputs)) == (1437, 360)
    together = torch.cat((train_inputs, test_inputs))[:, 0] * 255 / (255 / 16)
    original = load_digits()
    assert torch.cat((train_targets, test_targets)).bincount().tolist() == np.bincount(original.target).tolist()
    ours = sorted(map(tuple, together.round().int().flatten(1).tolist()))
    assert ours == sorted(map(tuple, original.images.astype(int).reshape(1797, 64).tolist()))
    assert (test_targets.bincount() - 36).abs().max() <= 1


def test_the_digits_test_split_is_the_same_for_every_seed():
    loads = [Digits(**facts(seed=seed, val_size=0.1)).load(CPU) for seed in (0, 1)]
    first, second = (next(splits.test.batches(360))[0] for splits in loads)
    assert torch.equal(first, second)
    assert first.shape == (360, 1, 28, 28)
    assert [len(part) for part in (loads[0].train, loads[0].val)] == [1293, 144]
    assert not torch.equal(loads[0].val.targets, loads[1].val.targets)


def test_colour_and_size_are_made_to_order():
    splits = Digits(**facts(3, 32, train_size=20)).load(CPU, torch.float64, channels_last=True)
    inputs, _ = next(splits.train.batches(20))
    assert inputs.shape == (20, 3, 32, 32)
    assert inputs.dtype == torch.float64
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(inputs[:, 0], inputs[:, 2])


@pytest.mark.parametrize("normalize", ["channel", "pixel"])
def test_statistics_come_from_the_training_split_alone(normalize):
    splits = Digits(**facts(image_size=8, val_size=500, train_size=300, normalize=normalize)).load(CPU)
    inputs = next(splits.train.batches(300))[0].double()
    axes = (0, 2, 3) if normalize == "channel" else (0,)
    assert inputs.mean(axes).abs().max() < 1e-5
    std = inputs.std(axes, correction=0)
    assert ((std - 1).abs() < 1e-5).logical_or(std == 0).all()
    assert next(splits.val.batches(500))[0].double().mean(axes).abs().max() > 1e-4


def test_where_images_live_changes_nothing():
    asked = facts(image_size=16, val_size=100, augment=Augment(flip=True), normalize="channel")
    here, there = (Digits(**asked, resident=resident).load(CPU) for resident in (True, False))
    assert isinstance(here.train, Resident)
    assert isinstance(there.train, Streamed)
    for name in ("train", "val", "test"):
        epochs = [
            getattr(splits, name).batches(64, *(torch.Generator().manual_seed(seed) for seed in (1, 2)))
            for splits in (here, there)
        ]
        for (inputs, targets), (other_inputs, other_targets) in zip(*epochs, strict=True):
            assert torch.equal(inputs, other_inputs)
            assert torch.equal(targets, other_targets)


@pytest.mark.parametrize(("free", "kind"), [(1797 * 64 * 2, Resident), (1797 * 64 * 2 - 1, Streamed)])
def test_half_of_the_free_memory_is_for_images(monkeypatch, free, kind):
    monkeypatch.setattr(images_module, "free_bytes", lambda device: free)
    splits = Digits(**facts(image_size=8, val_size=0.2)).load(CPU)
    assert {type(splits.train), type(splits.val), type(splits.test)} == {kind}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_classes": 5}, r"num_classes=5: Digits has 10 classes"),
        ({"classes": ["a", "b"]}, r"classes=\['a', 'b'\]: Digits has \['0', '1'"),
        ({"in_features": 783}, r"in_features=783: 1 x 28 x 28 pixels are 784; set in_channels and image_size instead"),
        ({"in_channels": 2}, r"in_channels=2: expected 1 \(grey\) or 3 \(colour\)"),
        ({"image_size": 0}, r"image_size=0: expected a whole number from 1"),
        ({"image_size": 28.0}, r"image_size=28.0: expected a whole number"),
        ({"seed": -1}, r"seed=-1: expected a whole number from 0"),
        ({"seed": True}, r"seed=True: expected a whole number"),
        ({"val_size": 1.5}, r"val_size=1.5: expected a whole number from 0 \(a count\) or a number between 0 and 1"),
        ({"sampling": "stratify"}, r"sampling=stratify: expected stratified or first; did you mean stratified\?"),
        ({"normalize": "chanel"}, r"normalize=chanel: .*; did you mean channel\?"),
        ({"task": "regression"}, r"task=regression: expected classification"),
        ({"resident": "yes"}, r"resident=yes: expected auto, true or false"),
        ({"num_workers": -1}, r"num_workers=-1: expected a whole number from 0 or auto"),
        ({"augment": True}, r"augment=True: expected null or a node"),
    ],
)
def test_wrong_values_and_facts_are_refused(wrong, message):
    with pytest.raises(ValueError, match=f"^{message}") as raised:
        Digits(**facts() | wrong)
    assert "\n" not in str(raised.value)


def test_facts_that_are_null_are_filled_in():
    digits = Digits(**facts())
    assert digits.classes == list("0123456789")
    assert digits.num_classes == 10


def test_more_images_than_there_are_is_the_users_error():
    with pytest.raises(UserError, match=r"^dataset.val_size=1438: is 1438 images, more than the 1437 there are$"):
        Digits(**facts(val_size=1438)).load(CPU)


def test_annotations_of_the_keys_can_be_read():
    hints = typing.get_type_hints(Digits)
    assert set(inspect.signature(Digits).parameters) == set(hints) - {"CLASSES", "TEST_SIZE"}
