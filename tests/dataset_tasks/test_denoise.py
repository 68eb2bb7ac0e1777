import math

import numpy as np
import pytest
import torch
from PIL import Image
from task_sets import CPU, denoise, everything, seeded

from dlhw.dataset.augment import Augment
from dlhw.dataset.denoise import Noisy
from dlhw.errors import UserError

PARTS = ("train", "val", "test")


@pytest.fixture(scope="module")
def splits():
    return denoise().load(CPU)


def test_a_set_is_what_it_states(splits):
    dataset = denoise()
    assert (dataset.task, dataset.classes, dataset.num_classes) == ("restoration", None, None)
    assert (dataset.out_channels, dataset.out_features, dataset.input_shape) == (1, 144, (1, 12, 12))
    assert splits.classes is None
    assert [len(getattr(splits, name)) for name in PARTS] == [1293, 144, 360]
    for name in PARTS:
        split = getattr(splits, name)
        inputs, targets = everything(split)
        assert inputs.shape == targets.shape == (len(split), 1, 12, 12)
        assert targets.min() >= 0
        assert targets.max() <= 1
        assert torch.equal(split.targets, targets)
        assert torch.equal(torch.from_numpy(split.raw([3, 0])).float() / 255, targets[[3, 0]])


@pytest.mark.parametrize("sigma", [0.1, 0.3])
@pytest.mark.parametrize("name", PARTS)
def test_noise_is_normal_with_its_std_and_not_clipped(sigma, name):
    inputs, targets = everything(getattr(denoise(sigma=sigma).load(CPU), name))
    noise = (inputs - targets).double() / sigma
    count = noise.numel()
    assert abs(noise.mean()) < 5 / math.sqrt(count)
    assert abs(noise.std() - 1) < 5 / math.sqrt(2 * count)
    assert abs((noise.abs() < 1).double().mean() - 0.6827) < 3 / math.sqrt(count)
    assert inputs.min() < 0
    pixels = noise.flatten(1)
    assert (pixels.T @ pixels / len(pixels) - torch.eye(144)).abs().max() < 6 / math.sqrt(len(pixels))


def test_without_noise_inputs_are_targets():
    assert all(torch.equal(x, y) for x, y in denoise(sigma=0).load(CPU).test.batches(50))


@pytest.mark.parametrize("batch_size", [1, 7, 100, 1000])
def test_evaluation_sees_the_same_noise_in_every_pass(splits, batch_size):
    for name in ("val", "test"):
        first, again = everything(getattr(splits, name)), everything(getattr(splits, name), batch_size)
        assert all(map(torch.equal, first, again))


def test_splits_have_noise_of_their_own(splits):
    noises = [x - y for x, y in (everything(getattr(splits, name)) for name in PARTS)]
    assert (noises[0][:100] - noises[1][:100]).abs().max() > 0.5
    assert (noises[1][:100] - noises[2][:100]).abs().max() > 0.5


def test_one_seed_gives_the_same_bits_and_another_others(splits):
    same, other = denoise().load(CPU), denoise(seed=1).load(CPU)
    for name in PARTS:
        ours, again, theirs = (everything(getattr(each, name))[0] for each in (splits, same, other))
        assert torch.equal(ours, again)
        assert not torch.equal(ours, theirs)
    assert torch.equal(splits.test.targets, other.test.targets)  # the digits' test images never change


def test_training_noise_is_new_in_each_epoch_and_a_resumed_run_repeats_it(splits):
    shuffle, augment = seeded(0), seeded(1)
    epochs = [everything(splits.train, 100, shuffle=shuffle, augment=augment) for _ in range(2)]
    state = shuffle.get_state(), augment.get_state()
    third = everything(splits.train, 100, shuffle=shuffle, augment=augment)
    back = [torch.Generator() for _ in state]
    for generator, kept in zip(back, state, strict=True):
        generator.set_state(kept)
    resumed = everything(denoise().load(CPU).train, 100, shuffle=back[0], augment=back[1])
    assert all(map(torch.equal, third, resumed))
    fixed_order = [everything(splits.train, 100, augment=augment)[0] for _ in range(2)]
    assert not torch.equal(*fixed_order)
    assert not torch.equal(epochs[0][0] - epochs[0][1], epochs[1][0] - epochs[1][1])


def test_an_epoch_left_early_leaves_the_generators_where_a_whole_one_does(splits):
    early, whole = seeded(1), seeded(1)
    next(splits.train.batches(10, seeded(0), early))
    everything(splits.train, 10, shuffle=seeded(0), augment=whole)
    assert torch.equal(early.get_state(), whole.get_state())


def test_training_noise_does_not_depend_on_the_batch_size(splits):
    small, large = (everything(splits.train, size, shuffle=seeded(0), augment=seeded(1)) for size in (9, 500))
    assert all(map(torch.equal, small, large))


def test_nothing_is_drawn_from_torchs_own_generator(splits):
    state = torch.get_rng_state()
    everything(splits.train, 100, shuffle=seeded(0), augment=seeded(1))
    assert torch.equal(torch.get_rng_state(), state)


def test_clean_images_are_augmented_before_the_noise():
    train = denoise(augment=Augment(flip=True)).load(CPU).train
    inputs, targets = everything(train, 100, augment=seeded(1))
    plain = train.targets
    mirrored = (targets == plain.flip(3)).flatten(1).all(1)
    same = (targets == plain).flatten(1).all(1)
    assert (mirrored | same).all()
    assert 0.4 < mirrored.double().mean() < 0.6
    assert abs((inputs - targets).std() - 0.3) < 0.01


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("channels_last", [True, False])
def test_where_images_lie_and_how_changes_no_bit(splits, resident, channels_last):
    got = denoise(resident=resident).load(CPU, channels_last=channels_last)
    assert isinstance(got.train, Noisy)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    inputs, targets = next(got.train.batches(50, seeded(0), seeded(1)))
    assert inputs.is_contiguous(memory_format=layout)
    assert targets.is_contiguous(memory_format=layout)
    expected = next(splits.train.batches(50, seeded(0), seeded(1)))
    assert all(map(torch.equal, (inputs, targets), expected))


def test_double_precision_gets_the_same_noise(splits):
    inputs, targets = everything(denoise().load(CPU, torch.float64).test)
    assert inputs.dtype == targets.dtype == torch.float64
    assert (inputs - everything(splits.test)[0]).abs().max() < 1e-6


def test_clothes_and_folders_of_colour(clothes, tmp_path, rng):
    grey = denoise(source="fashion_mnist", root=str(clothes), image_size=28).load(CPU)
    assert next(grey.train.batches(5))[0].shape == (5, 1, 28, 28)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(10):
            Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).save(tmp_path / f"photos/{name}/{number}.png")
    keys = {"source": "image_folder", "root": f"{tmp_path}/photos", "cache_dir": f"{tmp_path}/cache"}
    colour = denoise(**keys, in_channels=3, image_size=9)
    assert (colour.out_channels, colour.out_features) == (3, 243)
    splits = colour.load(CPU)
    assert [len(getattr(splits, name)) for name in PARTS] == [14, 2, 4]
    assert next(splits.train.batches(5))[0].shape == (5, 3, 9, 9)
    with pytest.raises(UserError, match="is no folder"):
        denoise(**keys | {"root": f"{tmp_path}/nothing"}).load(CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_has_its_own_fixed_noise_over_the_same_images(splits):
    there = denoise().load(torch.device("cuda"))
    inputs, targets = everything(there.test)
    assert inputs.device.type == "cuda"
    assert torch.equal(targets.cpu(), splits.test.targets)
    assert torch.equal(inputs, everything(there.test, 33)[0])
    assert abs((inputs - targets).std() - 0.3) < 0.01


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"source": "cifar"}, "source=cifar: expected .*did you mean cifar10?"),
        ({"sigma": -1}, "sigma=-1: expected a number from 0"),
        ({"sigma": "0.3"}, "sigma=0.3: expected a number"),
        ({"normalize": "channel"}, r"normalize=channel: targets are images in \[0, 1\]; expected none"),
        ({"classes": ["0"]}, r"classes=\['0'\]: the target is an image; expected null"),
        ({"num_classes": 10}, "num_classes=10: the target is an image; expected null"),
        ({"out_channels": 3}, "out_channels=3: an image has 1"),
        ({"out_features": 10}, "out_features=10: an image has 144"),
        ({"in_features": 10}, "in_features=10: 1 x 12 x 12 pixels are 144"),
        ({"task": "classification"}, "task=classification: expected restoration"),
    ],
)
def test_wrong_values_are_refused(wrong, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        denoise(**wrong)
