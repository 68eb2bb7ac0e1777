import io
import shutil
import tarfile

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from task_sets import CPU, everything, seeded
from torchvision.transforms import InterpolationMode, v2

from dlhw.dataset import pets as module
from dlhw.dataset.augment import Augment
from dlhw.dataset.fetch import Remote
from dlhw.dataset.pets import Pets
from dlhw.dataset.streamed import Streamed
from dlhw.errors import UserError

PARTS = ("train", "val", "test")


@pytest.fixture
def make(pets_root, tmp_path):
    def make(in_channels=3, image_size=16, **changed):
        keys = {
            "root": str(pets_root),
            "cache_dir": str(tmp_path / "cache"),
            "download": False,
            "in_channels": in_channels,
            "image_size": image_size,
            "in_features": in_channels * image_size**2,
            "num_classes": 3,
            "classes": ["background", "pet", "border"],
            "seed": 0,
            "val_size": 0,
        }
        return Pets(**keys | changed)

    return make


def torchvisions(root, part, in_channels, image_size):
    """Its own reader with its own joint transforms, and the classes in our order: (N, C, S, S), (N, S, S)."""
    grey = [v2.Grayscale()] if in_channels == 1 else []
    image_steps = v2.Compose([*grey, v2.Resize((image_size, image_size), antialias=True), v2.PILToTensor()])
    mask_steps = v2.Compose([v2.Resize((image_size, image_size), InterpolationMode.NEAREST), v2.PILToTensor()])
    theirs = torchvision.datasets.OxfordIIITPet(
        root, part, "segmentation", transform=image_steps, target_transform=mask_steps
    )
    images, masks = zip(*theirs, strict=True)
    ours = {1: "pet", 2: "background", 3: "border"}
    classes = torch.tensor([0, *(Pets.CLASSES.index(ours[value]) for value in (1, 2, 3))])
    return torch.stack(images) / 255, classes[torch.cat(masks).long()]


@pytest.mark.parametrize(("channels", "size"), [(3, 16), (1, 16), (3, 48)])
def test_images_and_masks_are_torchvisions(make, pets_root, channels, size):
    dataset = make(channels, size)
    splits = dataset.load(CPU)
    assert (dataset.task, dataset.input_shape) == ("segmentation", (channels, size, size))
    assert dataset.num_classes == dataset.out_channels == dataset.out_features == 3
    assert splits.classes == ["background", "pet", "border"]
    for part, split in (("trainval", splits.train), ("test", splits.test)):
        inputs, targets = everything(split)
        their_images, their_classes = torchvisions(pets_root, part, channels, size)
        assert torch.equal(inputs, their_images)
        assert torch.equal(targets, their_classes)
        assert torch.equal(split.targets, targets)
        assert torch.equal(torch.from_numpy(split.raw([2])) / 255, inputs[[2]])


def test_splits_are_disjoint_and_stratified_by_breed(make):
    splits = make(val_size=4).load(CPU)
    assert [len(getattr(splits, name)) for name in PARTS] == [8, 4, 6]
    images = {name: {image.tobytes() for image in getattr(splits, name).raw(range(4))} for name in PARTS}
    assert len(set.union(*images.values())) == 12
    assert splits.val.stored.targets.bincount().tolist() == [2, 2]


def test_decoded_once_and_mapped_and_streamed_alike(make, tmp_path, monkeypatch):
    augment = Augment(crop_padding=2, flip=True)
    first = make(augment=augment, normalize="channel").load(CPU)
    assert len(list((tmp_path / "cache").glob("pets-*.npy"))) == 2
    monkeypatch.setattr(module, "decode_pair", None)
    again = make(augment=augment, normalize="channel", resident=False).load(CPU)
    assert isinstance(again.train.stored, Streamed)
    for name in ("train", "test"):
        ours, theirs = (
            everything(getattr(splits, name), 5, shuffle=seeded(0), augment=seeded(1)) for splits in (first, again)
        )
        assert all(map(torch.equal, ours, theirs))


def test_normalising_is_of_the_images_alone(make):
    splits = make(normalize="channel").load(CPU)
    inputs, targets = everything(splits.train)
    assert inputs.mean((0, 2, 3)).abs().max() < 1e-5
    assert (inputs.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-5
    assert splits.preprocess.mean.shape == (3, 1, 1)
    assert targets.unique().tolist() == [0, 1, 2]


def test_crops_and_flips_take_image_and_mask_alike(make, pets_root):
    """Where the photograph is its own trimap, it stays so."""
    for trimap in (pets_root / "oxford-iiit-pet/annotations/trimaps").iterdir():
        values = np.asarray(Image.open(trimap).resize((16, 16), Image.Resampling.NEAREST))
        Image.fromarray(values).save(trimap)
        image = pets_root / f"oxford-iiit-pet/images/{trimap.stem}.jpg"
        Image.fromarray(np.array([0, 100, 0, 200], np.uint8)[values]).save(image, format="PNG")  # no loss
    train = make(1, augment=Augment(crop_padding=3, flip=True)).load(CPU).train
    inputs, targets = everything(train, 5, shuffle=seeded(0), augment=seeded(1))
    assert torch.equal((inputs[:, 0] * 255).round(), torch.tensor([0.0, 100.0, 200.0])[targets])
    assert not torch.equal(targets, train.targets[torch.randperm(12, generator=seeded(0))])


def archives(source, folder):
    """images.tar.gz and annotations.tar.gz of a set, and where to have them."""
    remotes = {}
    for name in ("images", "annotations"):
        path = folder / f"{name}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(source / name, name)
        remotes[path.name] = Remote([path.as_uri()], module_md5(path))
    return remotes


def module_md5(path):
    import hashlib

    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def test_missing_archives_are_fetched_and_unpacked(make, pets_root, tmp_path, monkeypatch):
    expected = everything(make().load(CPU).train)
    (tmp_path / "server").mkdir()
    remotes = archives(pets_root / "oxford-iiit-pet", tmp_path / "server")
    monkeypatch.setattr(Pets, "_remote", lambda self, name: remotes[name])
    fresh = make(root=str(tmp_path / "fresh"), download=True)
    assert all(map(torch.equal, everything(fresh.load(CPU).train), expected))
    shutil.rmtree(tmp_path / "fresh/oxford-iiit-pet/images")  # the archive is still there
    shutil.rmtree(tmp_path / "server")
    assert all(map(torch.equal, everything(make(root=str(tmp_path / "fresh")).load(CPU).train), expected))


def test_torchvision_knows_where_to_fetch_each_archive(make):
    for name in ("images.tar.gz", "annotations.tar.gz"):
        remote = make()._remote(name)
        assert remote.urls[0].endswith(f"/{name}")
        assert len(remote.md5) == 32


def test_a_missing_file_says_what_to_do(make, pets_root, tmp_path):
    nothing = tmp_path / "nothing/oxford-iiit-pet"
    with pytest.raises(UserError) as raised:
        make(root=str(tmp_path / "nothing")).load(CPU)
    assert str(raised.value) == (
        f"Pets: {nothing}/annotations/trainval.txt: is missing; set dataset.download=true, or put the original "
        f"images.tar.gz and annotations.tar.gz into {nothing}"
    )
    gone = pets_root / "oxford-iiit-pet/images/Abyssinian_trainval2.jpg"
    gone.unlink()
    with pytest.raises(UserError, match=f"^Pets: {gone}: is missing; set"):
        make().load(CPU)


def png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("images/Abyssinian_trainval0.jpg", b"no image", "cannot identify image file"),
        ("annotations/trimaps/Abyssinian_trainval0.png", b"", "cannot identify image file"),
        ("annotations/trimaps/Abyssinian_trainval0.png", png(np.ones((9, 9), np.uint8)), "sizes .* differ"),
        ("annotations/trimaps/Abyssinian_trainval0.png", png(np.full((40, 30), 7, np.uint8)), "values 7 to 7"),
        ("annotations/trimaps/Abyssinian_trainval0.png", png(np.zeros((40, 30), np.uint8)), "values 0 to 0"),
        ("annotations/trainval.txt", b"Abyssinian_1 1 1\n", "found 'Abyssinian_1 1 1' in line 1, expected NAME BREED"),
        ("annotations/trainval.txt", b"../../etc/x 1 1 1\n", "expected NAME BREED"),
        ("annotations/test.txt", b"", "found no photographs in it"),
    ],
)
def test_a_broken_file_is_named_and_leaves_no_cache(make, pets_root, tmp_path, file, content, message):
    path = pets_root / "oxford-iiit-pet" / file
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"^Pets: .*{path.stem}.*{message}") as raised:
        make().load(CPU)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.glob("cache/pets-trainval-*.npy"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"augment": Augment(rotation=5)}, "augment.rotation=5: masks are cropped and flipped only"),
        ({"out_channels": 2}, "out_channels=2: Pets has 3 classes"),
        ({"classes": ["pet", "background", "border"]}, r"classes=\['pet', .*: Pets has \['background'"),
        ({"in_channels": 4}, "in_channels=4: expected 1"),
    ],
)
def test_wrong_values_are_refused(make, wrong, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make(**wrong)
