"""Archives write below their own folder or not at all, wherever one is opened."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from payloads import CHECKPOINTS

from dlhw.dataset import cifar10, fetch, pets
from dlhw.dataset.cifar10 import CIFAR10
from dlhw.dataset.fetch import Remote
from dlhw.dataset.pets import Pets
from dlhw.errors import UserError
from dlhw.model.pretrained import download

Member = Callable[[tarfile.TarInfo], None]


def named(name: str) -> Member:
    return lambda member: setattr(member, "name", name)


def kind(flag: bytes, target: str = "") -> Member:
    def change(member: tarfile.TarInfo) -> None:
        member.type, member.linkname, member.size = flag, target, 0

    return change


MEMBERS = {
    "above": named("../outside"), "above in the middle": named("a/../../outside"), "absolute": named("/tmp/outside"),
    "of Windows": named("C:/outside"), "above in Windows": named("..\\outside"), "a share": named("\\\\host\\outside"),
    "a link": kind(tarfile.SYMTYPE, "/etc"), "a link within": kind(tarfile.SYMTYPE, "first"),
    "a link above": kind(tarfile.SYMTYPE, "../.."), "a hard link": kind(tarfile.LNKTYPE, "first"),
    "a device": kind(tarfile.CHRTYPE), "a pipe": kind(tarfile.FIFOTYPE),
}  # fmt: skip


def tar(path: Path, change: Member) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name in ("first", "second"):
            member = tarfile.TarInfo(name)
            member.size = 3
            if name == "second":
                change(member)
            archive.addfile(member, io.BytesIO(b"abc"[: member.size]))


def below(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if not path.name.endswith((".lock", "here"))
    )


SHARED = {"classes": None, "num_classes": None, "seed": 0, "val_size": 0}


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("of", ["cifar10", "pets"])
def test_a_tar(of: str, member: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "check_md5", lambda *args: None)  # as if its hash were the right one
    none = Remote([], "")
    monkeypatch.setattr(CIFAR10, "_remote", lambda self: none)
    monkeypatch.setattr(Pets, "_remote", lambda self, name: none)
    root = tmp_path / "data"
    archive = root / (cifar10.ARCHIVE if of == "cifar10" else f"{pets.FOLDER}/annotations.tar.gz")
    tar(archive, MEMBERS[member])
    before = below(tmp_path)
    facts = {**SHARED, "in_channels": 3, "image_size": 32, "in_features": 3072}
    own = {"task": "segmentation", "cache_dir": str(root / "cache"), "out_features": None}
    dataset = CIFAR10(root=str(root), **facts) if of == "cifar10" else Pets(root=str(root), **{**facts, **own})
    with pytest.raises(UserError, match=r"which is no plain file below its folder; nothing was unpacked"):
        dataset.read()
    assert below(tmp_path) == before
    assert not Path("/tmp/outside").exists()


def test_a_tar_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused above is refused for its second member alone."""
    monkeypatch.setattr(fetch, "check_md5", lambda *args: None)
    tar(tmp_path / "a.tar.gz", lambda member: None)
    fetch.fetch(Remote([], ""), tmp_path / "a.tar.gz", unpack="tar", what="A")
    assert below(tmp_path) == ["a.tar.gz", "first", "second"]


def test_a_gz_whose_header_names_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "check_md5", lambda *args: None)
    folder = tmp_path / "raw"
    folder.mkdir()
    with (folder / "a.gz").open("wb") as file, gzip.GzipFile("../../outside", "wb", fileobj=file) as packed:
        packed.write(b"abc")
    fetch.fetch(Remote([], ""), folder / "a.gz", unpack="gz", what="A")
    assert below(tmp_path) == ["raw", "raw/a", "raw/a.gz"]


@pytest.mark.filterwarnings("ignore:Falling back to the old format")
@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/../../outside"])
def test_a_zip_where_torch_keeps_what_it_fetched(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.hub unpacks a zip of one file, of an old format, before it reads it."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "hub/checkpoints/net-00000000.pth", "w") as archive:
        archive.writestr(name, b"abc")
    with pytest.raises(UserError, match="could not be had"):
        download("IMAGENET1K_V1", "http://127.0.0.1:9/net-00000000.pth", "resnet50")
    assert all(path.startswith("hub") for path in below(tmp_path))
    assert not Path("/tmp/outside").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("save", CHECKPOINTS)
def test_a_pickle_where_torch_keeps_what_it_fetched(
    save: Callable[[Path, Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By our own reader, and by torchvision's functions, which do not ask torch for weights alone."""
    from omegaconf import OmegaConf

    from dlhw.config.build import build

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    save(tmp_path / "hub/checkpoints/resnet18-f37072fd.pth", tmp_path / "executed")
    with pytest.raises(UserError, match="could not be had"):
        download("IMAGENET1K_V1", "http://127.0.0.1:9/resnet18-f37072fd.pth", "resnet18")
    node = OmegaConf.create({"_target_": "torchvision.models.resnet18", "weights": "IMAGENET1K_V1"})
    with pytest.raises(UserError, match=r"torchvision\.models\.resnet18"):
        build(node, "model")
    assert not (tmp_path / "executed").exists()
