import numpy as np
import pytest
import torch
from task_sets import CPU, canvas, everything, seeded

from dlhw.dataset import canvas as module
from dlhw.dataset.augment import Augment
from dlhw.dataset.batches import Resident
from dlhw.dataset.canvas import Draws, paint
from dlhw.dataset.masked import Masked
from dlhw.errors import UserError

PARTS = ("train", "val", "test")


def painted_slowly(objects, labels, draws, threshold):
    """Pixel by pixel, as the docstrings say it."""
    side, size = draws.noise.shape[-1], objects.shape[-1]
    canvases, masks = draws.noise.clone(), torch.zeros_like(draws.noise)
    for index in range(len(canvases)):
        for turn in range(int(draws.count[index])):
            row = int(draws.rows[index, turn])
            for y in range(size):
                for x in range(size):
                    if int(objects[row, y, x]) / 255 > threshold:
                        place = index, int(draws.top[index, turn]) + y, int(draws.left[index, turn]) + x
                        assert max(place[1:]) < side
                        canvases[place] = objects[row, y, x]
                        masks[place] = labels[row]
    return torch.stack((canvases, masks), dim=1)


@pytest.mark.parametrize("threshold", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("objects", [(1, 3), (0, 2), (3, 3)])
def test_painting_is_the_slow_way(threshold, objects):
    generator = seeded(3)
    images = torch.randint(0, 256, (12, 6, 6), dtype=torch.uint8, generator=generator)
    labels = torch.randint(1, 11, (12,), dtype=torch.uint8, generator=generator)
    draws = canvas(objects=list(objects), object_size=6, image_size=13)._draw(12, generator)
    draws = Draws(*(part[:25] for part in (draws.count, draws.rows, draws.top, draws.left, draws.noise)))
    assert torch.equal(paint(images, labels, draws, threshold), painted_slowly(images, labels, draws, threshold))


def test_a_set_is_what_it_states():
    dataset = canvas()
    splits = dataset.load(CPU)
    assert dataset.task == "segmentation"
    assert dataset.classes == splits.classes == ["background", *"0123456789"]
    assert dataset.num_classes == dataset.out_channels == dataset.out_features == 11
    assert dataset.input_shape == (1, 24, 24)
    for name, size in zip(PARTS, (30, 20, 25), strict=True):
        inputs, targets = everything(getattr(splits, name))
        assert inputs.shape == (size, *dataset.input_shape)
        assert targets.shape == (size, 24, 24)
        assert (inputs.dtype, targets.dtype) == (torch.float32, torch.int64)
        assert torch.equal(getattr(splits, name).targets, targets)
        assert inputs[(targets == 0).unsqueeze(1)].max() <= 0.3 + 1e-6
        assert inputs[(targets > 0).unsqueeze(1)].min() > 0.25
        raw = getattr(splits, name).raw([4, 0])
        assert torch.equal(torch.from_numpy(raw).float() / 255, inputs[[4, 0]])


def test_noise_is_uniform_and_objects_are_as_many_and_everywhere():
    dataset = canvas(noise=0.3)
    draws = [dataset._draw(100, generator) for generator in [seeded(0)] for _ in range(20)]
    noise = torch.cat([draw.noise for draw in draws]).double() / 255
    assert abs(noise.mean() - 0.15) < 0.002
    assert abs(noise.std() - 0.3 / 12**0.5) < 0.003
    assert noise.max() <= 0.3
    counts = torch.cat([draw.count for draw in draws]).bincount(minlength=5)
    assert counts[[0, 4]].tolist() == [0, 0]
    assert (counts[1:4] / counts.sum() - 1 / 3).abs().max() < 0.03
    for corner in ("top", "left"):
        places = torch.cat([getattr(draw, corner) for draw in draws]).flatten().bincount()
        assert len(places) == 24 - 8 + 1
        assert places.min() > 0.8 * places.double().mean()


def test_splits_show_separate_source_images():
    pools = canvas()._pools()
    assert [len(pool) for pool in pools] == [1293, 144, 360]
    seen = [{image.tobytes() for image in pool.images} for pool in pools]
    everyone = set().union(*seen)
    assert len(everyone) == sum(map(len, seen)) == 1797
    assert all(np.bincount(pool.targets, minlength=10).min() > 0 for pool in pools)


def test_canvases_show_their_own_pools_images():
    """Painted without noise, one object each, every object is found in its split's pool."""
    dataset = canvas(noise=0, threshold=0, objects=[1, 1], image_size=8)
    splits = dataset.load(CPU)
    for name, pool in zip(PARTS, dataset._pools(), strict=True):
        known = {(image.tobytes(), int(target)) for image, target in zip(pool.images[:, 0], pool.targets, strict=True)}
        part = getattr(splits, name)
        for image, mask in zip(part.raw(range(len(part)))[:, 0], part.targets, strict=True):
            assert (image.tobytes(), int(mask.max()) - 1) in known


def test_one_seed_gives_the_same_bits_and_another_others():
    first, same, other = (canvas(seed=seed).load(CPU) for seed in (0, 0, 1))
    for name in PARTS:
        ours, again, theirs = (everything(getattr(splits, name)) for splits in (first, same, other))
        assert all(map(torch.equal, ours, again))
        assert not torch.equal(ours[0], theirs[0])
        assert not torch.equal(ours[1], theirs[1])


def test_nothing_is_drawn_from_torchs_own_generator():
    state = torch.get_rng_state()
    splits = canvas().load(CPU)
    list(splits.train.batches(7, seeded(0), seeded(1)))
    assert torch.equal(torch.get_rng_state(), state)


def test_fewer_canvases_are_the_first_of_more(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 16)
    fewer, more = canvas(train_size=10, val_size=0).load(CPU), canvas(train_size=50).load(CPU)
    assert torch.equal(everything(fewer.train)[0], everything(more.train)[0][:10])
    assert torch.equal(everything(fewer.test)[0], everything(more.test)[0])
    assert fewer.val is None


def test_batches_keep_images_and_masks_together():
    train = canvas().load(CPU).train
    inputs, targets = everything(train)
    shuffled = everything(train, 7, shuffle=seeded(4))
    order = torch.randperm(30, generator=seeded(4))
    assert torch.equal(shuffled[0], inputs[order])
    assert torch.equal(shuffled[1], targets[order])
    assert [len(x) for x, _ in train.batches(7)] == [7, 7, 7, 7, 2]


def test_other_dtypes_and_layouts():
    inputs, targets = next(canvas().load(CPU, torch.float64, channels_last=True).test.batches(4))
    assert inputs.dtype == torch.float64
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    assert targets.dtype == torch.int64


def test_clothes(clothes):
    dataset = canvas(source="fashion_mnist", root=str(clothes), object_size=12)
    assert dataset.classes[:2] == ["background", "T-shirt/top"]
    splits = dataset.load(CPU)
    assert everything(splits.train)[0].shape == (30, 1, 24, 24)
    with pytest.raises(UserError, match=r"is missing; set dataset\.download=true"):
        canvas(source="mnist", root=str(clothes), download=False).load(CPU)


def test_masks_are_cropped_and_flipped_with_their_images():
    """A mask that is the image itself stays so; beyond the edge lies background."""
    images = torch.randint(1, 256, (40, 2, 9, 9), dtype=torch.uint8, generator=seeded(0))
    images[:, 1] = images[:, 0]
    split = Masked(Resident(images, torch.zeros(40, dtype=torch.int64), Augment(crop_padding=3, flip=True)))
    inputs, targets = everything(split, 7, shuffle=seeded(1), augment=seeded(2))
    assert torch.equal((inputs * 255).round().long()[:, 0], targets)
    assert (targets == 0).any()
    assert not torch.equal(targets, split.targets[torch.randperm(40, generator=seeded(1))])
    again = everything(split, 40, shuffle=seeded(1), augment=seeded(2))
    assert torch.equal(inputs, again[0])
    assert torch.equal(everything(split)[1], images[:, 1].long())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_paints_what_a_cpu_paints():
    here, there = (canvas().load(torch.device(device)) for device in ("cpu", "cuda"))
    for name in PARTS:
        assert torch.equal(getattr(here, name).targets, getattr(there, name).targets.cpu())
        assert (getattr(here, name).raw(range(20)) == getattr(there, name).raw(range(20))).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"source": "mnits"}, "source=mnits: expected digits or mnist or fashion_mnist; did you mean mnist"),
        ({"objects": [3, 1]}, r"objects=\[3, 1\]: expected two whole numbers, the least and the most"),
        ({"objects": [1]}, r"objects=\[1\]: expected two"),
        ({"objects": [0, 0]}, r"objects=\[0, 0\]: expected a most of at least 1"),
        ({"objects": [True, 2]}, r"objects=\[True, 2\]: expected two"),
        ({"object_size": 25}, "object_size=25: does not fit on a canvas of image_size=24"),
        ({"threshold": 2}, "threshold=2: expected a number from 0 to 1"),
        ({"noise": -0.1}, "noise=-0.1: expected a number from 0 to 1"),
        ({"in_channels": 3}, "in_channels=3: a canvas is grey"),
        ({"in_features": 5}, "in_features=5: 24 x 24 pixels are 576"),
        ({"num_classes": 10}, "num_classes=10: Canvas of digits has 11 classes"),
        ({"classes": ["0"]}, r"classes=\['0'\]: Canvas of digits has"),
        ({"train_size": 0.5}, r"train_size=0.5: expected a whole number from 1 \(canvases\)"),
        ({"test_size": 0}, "test_size=0: expected a whole number from 1"),
        ({"seed": -1}, "seed=-1: expected a whole number from 0"),
    ],
)
def test_wrong_values_are_refused(wrong, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        canvas(**wrong)
