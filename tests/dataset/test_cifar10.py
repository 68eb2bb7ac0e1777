import io
import os
import pickle
import tarfile

import numpy as np
import pytest
import torch
import torchvision
from small_sets import facts, load_all, md5
from torchvision.transforms import ToTensor

from dlhw.dataset import cifar10
from dlhw.dataset.cifar10 import CIFAR10
from dlhw.dataset.fetch import Remote
from dlhw.errors import UserError

CPU = torch.device("cpu")


def colour(**changed):
    return facts(3, 32, **changed)


class Bomb:
    """Whoever unpickles it leaves a trace."""

    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return os.mkdir, (self.trace,)


def test_images_and_targets_are_torchvisions(write_cifar, monkeypatch):
    root = write_cifar()
    theirs_class = torchvision.datasets.CIFAR10
    monkeypatch.setattr(theirs_class, "train_list", [[n, m] for n, m in cifar10.MD5.items() if n.startswith("data")])
    monkeypatch.setattr(theirs_class, "test_list", [["test_batch", cifar10.MD5["test_batch"]]])
    monkeypatch.setattr(theirs_class, "meta", theirs_class.meta | {"md5": cifar10.MD5["batches.meta"]})
    ours = load_all(CIFAR10(root=str(root), download=False, **colour()))
    for part, (inputs, targets) in ((True, ours[:2]), (False, ours[2:])):
        theirs = theirs_class(root, train=part, transform=ToTensor())
        assert torch.equal(inputs, torch.stack([image for image, _ in theirs]))
        assert targets.tolist() == [target for _, target in theirs]


def test_the_table_is_torchvisions():
    theirs = torchvision.datasets.CIFAR10
    assert theirs.base_folder == cifar10.FOLDER
    assert theirs.filename == cifar10.ARCHIVE
    expected = dict(theirs.train_list + theirs.test_list)
    assert expected | {"batches.meta": theirs.meta["md5"]} == cifar10.MD5


def test_python_2s_pickles_are_read_without_a_warning(write_cifar):
    """As the original's are: protocol 2, str for bytes, dtype('u1', 0, 1)."""
    data = np.arange(2 * 3072, dtype=np.uint16).astype(np.uint8).tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tU\1btR"
        b"(K\1(K\2M\x00\x0ct" + b"cnumpy\ndtype\n(U\2u1K\0K\1tR(K\3U\1|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
        b"\x89T" + len(data).to_bytes(4, "little") + data + b"tb"
    )
    pickled = b"\x80\2}(U\4data" + array + b"U\6labels](K\3K\4eu."
    root = write_cifar()
    for name in ("data_batch_1",):
        (root / cifar10.FOLDER / name).write_bytes(pickled)
        cifar10.MD5[name] = md5(pickled)
    train, _ = CIFAR10(root=str(root), **colour()).read()
    assert train.targets[:2].tolist() == [3, 4]
    assert train.images[0, 0, 0, :3].tolist() == [0, 1, 2]


def test_a_batch_with_the_wrong_hash_is_never_unpickled(write_cifar, tmp_path):
    root = write_cifar()
    trace = tmp_path / "trace"
    (root / cifar10.FOLDER / "data_batch_3").write_bytes(pickle.dumps(Bomb(trace)))
    with pytest.raises(
        UserError, match=r"^CIFAR10: .*data_batch_3: found data_batch_3 with md5 \w{32}, expected \w{32}"
    ):
        CIFAR10(root=str(root), **colour()).load(CPU)
    assert not trace.exists()


def test_a_batch_with_the_right_hash_builds_nothing_but_arrays(write_cifar, tmp_path):
    root = write_cifar(data_batch_1=Bomb(tmp_path / "trace"))
    with pytest.raises(UserError, match=r"data_batch_1: could not be read \(it asks for posix.mkdir"):
        CIFAR10(root=str(root), **colour()).load(CPU)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"test_batch": [1, 2]}, "test_batch: found a list, expected a dict"),
        ({"test_batch": {"labels": [1]}}, "test_batch: found no data of N x 3072 bytes"),
        (
            {"test_batch": {"data": np.zeros((2, 3072), np.uint8), "labels": [1]}},
            "test_batch: found no list of 2 labels",
        ),
        (
            {"test_batch": {"data": np.zeros((1, 3072), np.uint8), "labels": [10]}},
            "found labels 10 to 10, expected 0 to 9",
        ),
        ({"batches_meta": {"label_names": ["cat"]}}, r"batches.meta: found classes \['cat'\], expected \['airplane'"),
    ],
)
def test_wrong_content_is_named(write_cifar, changed, message):
    root = write_cifar(**changed)
    with pytest.raises(UserError, match=f"^CIFAR10: .*{message}.*cifar-10-python.tar.gz into") as raised:
        CIFAR10(root=str(root), **colour()).load(CPU)
    assert "\n" not in str(raised.value)


def test_missing_files_say_what_to_do(tmp_path):
    with pytest.raises(UserError) as raised:
        CIFAR10(root=str(tmp_path), download=False, **colour()).load(CPU)
    assert str(raised.value) == (
        f"CIFAR10: {tmp_path}/cifar-10-batches-py/data_batch_1: is missing; set dataset.download=true, "
        f"or put the original cifar-10-python.tar.gz into {tmp_path}"
    )


@pytest.mark.parametrize("by_hand", [True, False])
def test_the_archive_is_fetched_or_found_and_unpacked(write_cifar, serve, monkeypatch, tmp_path, by_hand):
    source, packed = write_cifar(), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(source / cifar10.FOLDER, cifar10.FOLDER)
    server = serve({"/archive": packed.getvalue()})
    monkeypatch.setattr(CIFAR10, "_remote", lambda self: Remote([f"{server.url}/archive"], md5(packed.getvalue())))
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    if by_hand:
        (fresh / cifar10.ARCHIVE).write_bytes(packed.getvalue())
    splits = CIFAR10(root=str(fresh), download=not by_hand, **colour()).load(CPU)
    assert (len(splits.train), len(splits.test)) == (100, 20)
    assert len(server.requests) == (0 if by_hand else 1)
    assert not list(fresh.glob(".unpack-*"))
