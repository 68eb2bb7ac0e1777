import struct

import numpy as np
import pytest
import torch
import torchvision
from small_sets import facts, idx_bytes, load_all, md5
from torchvision.transforms import ToTensor

from dlhw.dataset import mnist
from dlhw.dataset.fetch import Remote
from dlhw.dataset.mnist import MNIST, FashionMNIST
from dlhw.errors import UserError

IMAGES = np.zeros((60, 28, 28), np.uint8)
LABELS = np.arange(60) % 10


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST])
@pytest.mark.parametrize("packed", [False, True])
def test_images_and_targets_are_torchvisions(write_mnist, kind, packed):
    root = write_mnist(kind.__name__, packed=packed)
    ours = load_all(kind(root=str(root), **facts()))
    if packed:  # torchvision wants to fetch anew where only the packed files are
        for file in (root / kind.__name__ / "raw").glob("*.gz"):
            file.with_suffix("").write_bytes(__import__("gzip").decompress(file.read_bytes()))
    for part, (inputs, targets) in ((True, ours[:2]), (False, ours[2:])):
        theirs = getattr(torchvision.datasets, kind.__name__)(root, train=part, transform=ToTensor())
        assert torch.equal(inputs, torch.stack([image for image, _ in theirs]))
        assert targets.tolist() == [target for _, target in theirs]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train_images": idx_bytes(IMAGES)[:-1]}, r"train-images.*found 47,055 bytes, expected 47,056 by its header"),
        ({"train_images": b""}, r"train-images.*found 0 bytes, expected a header of 16"),
        ({"train_labels": b"\0\0"}, r"train-labels.*found 2 bytes, expected a header of 8"),
        ({"train_images": idx_bytes(LABELS)}, r"train-images.*found magic number 2049, expected 2051"),
        ({"t10k_labels": idx_bytes(IMAGES)}, r"t10k-labels.*found magic number 2051, expected 2049"),
        ({"train_images": b"<html>" * 20}, r"train-images.*found magic number 1013478509, expected 2051"),
        ({"train_images": idx_bytes(IMAGES[:, :27])}, r"train-images.*found images of 27x28, expected 28x28"),
        ({"train_labels": idx_bytes(LABELS + 1)}, r"train-labels.*found label 10 at position 9, expected 0 to 9"),
        ({"train_labels": idx_bytes(LABELS[:59])}, r"train-labels.*found 59 labels, expected 60, one an image"),
        ({"train_images": idx_bytes(IMAGES)}, r"train-images.*found md5 [0-9a-f]{32}, expected [0-9a-f]{32}"),
        ({"train_labels": idx_bytes(LABELS[::-1])}, r"train-labels.*found md5"),
        (
            {"train_images": struct.pack(">4I", 2051, 2**31, 28, 28)},
            r"train-images.*found 16 bytes, expected 1,683,627",
        ),
    ],
)
@pytest.mark.parametrize("download", [True, False])
def test_a_wrong_file_is_named(write_mnist, files, message, download):
    root = write_mnist(**files)
    with pytest.raises(UserError, match=f"^MNIST: {root}/MNIST/raw/{message}") as raised:
        MNIST(root=str(root), download=download, **facts()).load(torch.device("cpu"))
    text = str(raised.value)
    assert "\n" not in text
    assert text.endswith("there")
    assert ("delete it to have it downloaded again" in text) == download


@pytest.mark.parametrize("packed", [b"no gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\3\1\2\3\4", b""])
def test_a_broken_gz_is_named(write_mnist, packed):
    root = write_mnist(packed=True)
    (root / "MNIST/raw/train-images-idx3-ubyte.gz").write_bytes(packed)
    with pytest.raises(UserError, match="train-images-idx3-ubyte: found "):
        MNIST(root=str(root), **facts()).load(torch.device("cpu"))


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(UserError) as raised:
        FashionMNIST(root=str(tmp_path), download=False, **facts()).load(torch.device("cpu"))
    where = tmp_path / "FashionMNIST/raw/train-images-idx3-ubyte"
    assert str(raised.value) == (
        f"FashionMNIST: {where}: is missing; set dataset.download=true, or put the original "
        "train-images-idx3-ubyte (or train-images-idx3-ubyte.gz) there"
    )


def test_missing_files_are_fetched_and_checked(write_mnist, serve, monkeypatch, tmp_path):
    source = write_mnist(packed=True) / "MNIST/raw"
    server = serve({f"/{file.name}": file.read_bytes() for file in source.iterdir()})

    def remote(self, name):
        return Remote([f"{server.url}/{name}.gz"], md5((source / f"{name}.gz").read_bytes()))

    monkeypatch.setattr(MNIST, "_remote", remote)
    fresh = tmp_path / "fresh"
    splits = MNIST(root=str(fresh), **facts()).load(torch.device("cpu"))
    assert (len(splits.train), len(splits.test)) == (60, 20)
    assert all((fresh / "MNIST/raw" / name).exists() for name in mnist.FILES)
    assert len(server.requests) == 4
    MNIST(root=str(fresh), **facts()).load(torch.device("cpu"))
    assert len(server.requests) == 4


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST])
def test_torchvision_knows_where_to_fetch_each_file(tmp_path, kind):
    for name in mnist.FILES:
        remote = kind(root=str(tmp_path), **facts())._remote(name)
        assert remote.urls
        assert all(url.endswith(f"/{name}.gz") for url in remote.urls)
        assert len(remote.md5) == 32
