import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from small_sets import facts, load_all
from torchvision.transforms import Compose, Grayscale, Resize, ToTensor

from dlhw.dataset import image_folder as module
from dlhw.dataset.decode import decode
from dlhw.dataset.image_folder import ImageFolder
from dlhw.dataset.streamed import Streamed
from dlhw.errors import UserError

CPU = torch.device("cpu")


def write_images(folder, rng, classes=("cat", "dog"), count=6, size=(20, 14), extension=".png"):
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}{extension}")


@pytest.fixture
def root(tmp_path, rng):
    """root/train and root/test of two classes, colour, 20x14."""
    root = tmp_path / "pictures"
    write_images(root / "train", rng)
    write_images(root / "test", rng, count=3, extension=".JPG")
    return root


@pytest.fixture
def make(root, tmp_path):
    def make(in_channels=3, image_size=12, **changed):
        paths = {"root": str(root), "cache_dir": str(tmp_path / "cache")}
        return ImageFolder(**paths | facts(in_channels, image_size) | changed)

    return make


def caches(tmp_path):
    """Of decoded images; those of digests come with them."""
    names = [path.name for path in (tmp_path / "cache").glob("*.npy")]
    images = sorted(name for name in names if not name.endswith("-digests.npy"))
    assert sorted(names) == sorted([*images, *(name.replace(".npy", "-digests.npy") for name in images)])
    return images


@pytest.mark.parametrize(("channels", "size"), [(3, 12), (1, 12), (3, 32)])
@pytest.mark.parametrize("small_file", [0, 10**9])  # many threads, one
def test_images_and_targets_are_torchvisions(root, make, monkeypatch, channels, size, small_file):
    monkeypatch.setattr(module, "SMALL_FILE_BYTES", small_file)
    steps = [Grayscale()] * (channels == 1) + [Resize((size, size)), ToTensor()]
    ours = load_all(make(channels, size))
    for part, (inputs, targets) in (("train", ours[:2]), ("test", ours[2:])):
        theirs = torchvision.datasets.ImageFolder(root / part, transform=Compose(steps))
        assert torch.equal(inputs, torch.stack([image for image, _ in theirs]))
        assert targets.tolist() == [target for _, target in theirs]


def test_classes_are_the_folders(make):
    dataset = make()
    assert dataset.classes == ["cat", "dog"]
    assert dataset.num_classes == 2
    assert make(classes=["cat", "dog"], num_classes=2).load(CPU).classes == ["cat", "dog"]
    with pytest.raises(ValueError, match=r"^num_classes=3: ImageFolder has 2 classes$"):
        make(num_classes=3)


def test_a_saved_configs_classes_must_be_the_folders(make):
    dataset = make(classes=["cat", "horse"])  # no folder is read for it: a model can be rebuilt without the data
    with pytest.raises(UserError, match=r"^dataset.classes=\['cat', 'horse'\]: .*train has \['cat', 'dog'\]"):
        dataset.load(CPU)


def test_without_a_test_folder_a_fifth_is_drawn(tmp_path, rng, make):
    write_images(tmp_path / "flat", rng, count=20)
    splits = make(root=str(tmp_path / "flat"), val_size=0.25).load(CPU)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [24, 8, 8]
    assert splits.test.targets.bincount().tolist() == [4, 4]


def test_decoded_once_and_mapped(make, tmp_path, monkeypatch):
    first = load_all(make())
    before = caches(tmp_path)
    assert len(before) == 2
    assert all(name.endswith(".npy") for name in before)
    monkeypatch.setattr(module, "decode", None)
    for resident in (True, False):
        assert all(map(torch.equal, load_all(make(resident=resident)), first))
    train, _ = make().read()
    assert isinstance(train.images, np.memmap)
    assert isinstance(make(resident=False).load(CPU).train, Streamed)


def test_a_changed_file_is_seen(make, root, tmp_path):
    first = load_all(make())[0]
    Image.new("RGB", (20, 14)).save(root / "train/cat/0.png")
    assert not torch.equal(load_all(make())[0], first)
    os.utime(root / "train/cat/1.png", ns=(1, 1))
    make().load(CPU)
    assert len(caches(tmp_path)) == 4


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"x" * 50, None])
@pytest.mark.parametrize("small_file", [0, 10**9])
def test_a_broken_image_is_named_and_leaves_no_cache(make, root, tmp_path, monkeypatch, content, small_file):
    monkeypatch.setattr(module, "SMALL_FILE_BYTES", small_file)
    broken = root / "train/dog/3.png"
    broken.write_bytes(broken.read_bytes()[:200] if content is None else content)
    with pytest.raises(UserError, match=f"^ImageFolder: {broken}: found [0-9]+ bytes that cannot be decoded") as raised:
        make().load(CPU)
    assert "\n" not in str(raised.value)
    assert caches(tmp_path) == []


def test_hidden_and_other_files_are_passed_over(make, root):
    first = load_all(make())[0]
    (root / "train/.hidden").mkdir()
    (root / "train/cat/.DS_Store").write_bytes(b"x")
    (root / "train/cat/.thumbs").mkdir()
    (root / "train/cat/.thumbs/0.png").write_bytes(b"x")
    (root / "train/cat/notes.txt").write_text("x")
    assert torch.equal(load_all(make())[0], first)


def test_a_class_without_images_is_named(make, root):
    (root / "train/emu").mkdir()
    with pytest.raises(UserError, match=r"train/emu: found nothing in it, expected images \(.bmp"):
        make().load(CPU)
    (root / "train/emu/clip.mp4").write_bytes(b"x")
    with pytest.raises(UserError, match=r"train/emu: found only .mp4 in it"):
        make().load(CPU)


def test_a_class_of_the_test_alone_is_named(make, root, rng):
    write_images(root / "test", rng, classes=("emu",))
    with pytest.raises(UserError, match=r"test/emu: a class that is not in train: cat, dog"):
        make().load(CPU)


def test_a_root_that_is_not_there_has_a_nearest(make, tmp_path):
    with pytest.raises(
        UserError, match=f"^dataset.root={tmp_path}/pictres: is no folder; did you mean {tmp_path}/pictures"
    ):
        make(root=str(tmp_path / "pictres"))
    with pytest.raises(UserError, match="found no folders in it, expected one for each class"):
        make(root=str(tmp_path / "pictures/train/cat"))


def test_a_cache_that_cannot_be_written_is_named(make, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=f"^dataset.cache_dir={tmp_path}/file: "):
        make(cache_dir=str(tmp_path / "file")).load(CPU)


def test_several_runs_at_once_share_one_cache(root, tmp_path):
    program = """
        import sys, torch
        from small_sets import facts
        from dlhw.dataset.image_folder import ImageFolder
        dataset = ImageFolder(root=sys.argv[1], cache_dir=sys.argv[2], **facts(3, 12))
        print(int(next(dataset.load(torch.device("cpu")).train.batches(12))[0].sum()))
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program), str(root), str(tmp_path / "cache")]
    here = str(Path(__file__).parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([here, *filter(None, sys.path)])}
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    printed = [process.communicate(timeout=90) for process in processes]
    assert {errors for _, errors in printed} == {""}
    assert len({out for out, _ in printed}) == 1
    assert len(caches(tmp_path)) == 2


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_image_is_decoded(tmp_path, mode, channels):
    path = tmp_path / ("image.tif" if mode in ("CMYK", "PA") else "image.png")
    colour = Image.new("RGB", (10, 10), (200, 100, 50))
    if mode == "I;16":
        Image.fromarray(np.full((10, 10), 130 * 256 + 7, np.uint16)).save(path)
    else:
        image = colour.convert("LA" if mode == "PA" else mode)
        image.save(path, **({"transparency": b"\0" * 16} if mode == "P" else {}))
    got = decode(path, channels, 4)
    assert got.shape == (channels, 4, 4)
    assert got.dtype == np.uint8
    assert got.flags.c_contiguous
    if mode == "I;16":
        assert (got == 130).all()


def test_a_turned_photograph_is_put_upright(tmp_path):
    pixels = np.zeros((8, 8), np.uint8)
    pixels[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(decode(tmp_path / "a.png", 1, 8)[0], np.rot90(pixels, -1))
