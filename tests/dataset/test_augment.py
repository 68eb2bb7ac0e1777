import pytest
import torch
from torch.nn import functional

from dlhw.dataset.augment import Augment, Draws, crop, flip, rotate


@pytest.fixture
def images():
    return torch.randint(1, 256, (40, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_flip_is_the_exact_mirror(images):
    got = Augment(flip=True)(images, seeded())
    flipped = torch.rand(40, generator=seeded()) < 0.5
    assert 5 < flipped.sum() < 35
    for image, result, is_flipped in zip(images, got, flipped, strict=True):
        assert torch.equal(result, image.flip(2) if is_flipped else image)


@pytest.mark.parametrize("padding", [1, 4])
def test_crop_is_a_slice_of_the_padded_image(images, padding):
    top, left = torch.randint(0, 2 * padding + 1, (2, 40), generator=seeded())
    padded = functional.pad(images, [padding] * 4)
    got = Augment(crop_padding=padding)(images, seeded())
    for row, (y, x) in enumerate(zip(top, left, strict=True)):
        assert torch.equal(got[row], padded[row, :, y : y + 12, x : x + 12])
    assert torch.equal(crop(images, top, left, padding), got)


def test_crop_reaches_every_corner(images):
    edge = torch.tensor([0, 8] * 20)
    got = crop(images, edge, edge, 4)
    assert torch.equal(got[0, :, 4:, 4:], images[0, :, :8, :8])
    assert not got[0, :, :4].any()
    assert torch.equal(got[1, :, :8, :8], images[1, :, 4:, 4:])
    assert not got[1, :, :, 8:].any()


def test_rotation_by_nothing_is_identity(images):
    assert torch.equal(rotate(images, torch.zeros(40)), images)


@pytest.mark.parametrize(("angle", "turns"), [(90.0, 1), (-90.0, -1), (180.0, 2)])
def test_right_angles_are_exact_and_counter_clockwise(images, angle, turns):
    got = rotate(images, torch.full((40,), angle)).int()
    assert (got - images.rot90(turns, (2, 3)).int()).abs().max() <= 1


def test_rotation_stays_within_its_bounds():
    angles = Augment(rotation=10).draw(2000, seeded()).angle
    assert -10 <= angles.min() < -9.5
    assert 9.5 < angles.max() <= 10


def test_same_generator_state_same_result(images):
    augment = Augment(crop_padding=2, flip=True, rotation=15.0)
    first, second, other = (augment(images, seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert first.dtype == torch.uint8
    assert first.shape == images.shape


def test_the_images_that_came_in_stay_as_they_are(images):
    before = images.clone()
    Augment(crop_padding=2, flip=True, rotation=15.0)(images, seeded())
    flip(images, torch.ones(40, dtype=torch.bool))
    assert torch.equal(images, before)


def test_a_block_of_an_epoch_gets_its_part_of_the_draws(images):
    augment = Augment(crop_padding=2, flip=True, rotation=15.0)
    draws = augment.draw(40, seeded())
    whole = augment.apply(images, draws)
    assert torch.equal(augment.apply(images[7:20], draws.part(7, 20)), whole[7:20])


def test_nothing_asked_for_is_false_and_draws_nothing(images):
    generator = seeded()
    assert not Augment()
    assert Augment(flip=True)
    assert Augment()(images, generator) is images
    assert Augment().draw(5, generator) == Draws(None, None, None, None)
    assert torch.equal(generator.get_state(), seeded().get_state())


@pytest.mark.parametrize(
    "wrong",
    [
        {"crop_padding": -1},
        {"crop_padding": 1.5},
        {"flip": "yes"},
        {"rotation": -1},
        {"rotation": 200},
        {"rotation": True},
    ],
)
def test_values_are_checked(wrong):
    (key,) = wrong
    with pytest.raises(ValueError, match=f"^augment.{key}={wrong[key]}: expected"):
        Augment(**wrong)
