"""A changed data file is found, named and not gone on with; a copy of the data is no change."""

import gzip
import hashlib
import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from honest_runs import FC, PICTURES, broken_off, contents, flip_a_bit, run, write_pictures

import dlhw
from dlhw.dataset import mnist
from dlhw.errors import UserError
from dlhw.eval_cli import parse
from dlhw.evaluation import evaluate
from dlhw.folder import fingerprint
from dlhw.folder.provenance import data_change, note_data
from dlhw.folder.record import Record
from dlhw.sweep.preflight import Expectation

DATA = Path("data")
PICTURED = (*PICTURES, "dataset.train_size=null")


@pytest.fixture
def files() -> list[Path]:
    return write_pictures(DATA, 3)


def test_a_flipped_bit_is_found_whatever_size_and_time_say(files: list[Path]) -> None:
    note_data(Path("run"), DATA)
    assert data_change(Path("run"), DATA) == ""
    flip_a_bit(files[2])
    assert data_change(Path("run"), DATA) == f"{files[2]} has changed since this run began"
    flip_a_bit(files[4])
    assert data_change(Path("run"), DATA) == f"{files[2]} has changed since this run began, and 1 more differ"


def test_files_that_go_and_come(files: list[Path]) -> None:
    note_data(Path("run"), DATA)
    files[0].rename(DATA / "cat" / "00.bmp")
    assert data_change(Path("run"), DATA) == f"{files[0]} is missing since this run began, and 1 more differ"
    (DATA / "cat" / "00.bmp").rename(files[0])
    shutil.copy(files[0], DATA / "dog" / "9.bmp")
    assert data_change(Path("run"), DATA) == f"{DATA}/dog/9.bmp is new since this run began"


def test_a_copy_is_no_change(files: list[Path]) -> None:
    note_data(Path("run"), DATA)
    shutil.copytree(DATA, "elsewhere")
    for path in Path("elsewhere").rglob("*"):
        os.utime(path, (1, 1))
    assert data_change(Path("run"), Path("elsewhere")) == ""


def test_locks_caches_and_packed_twins_are_no_data(files: list[Path]) -> None:
    before = fingerprint.contents(DATA)
    (DATA / ".lock").write_text("")
    (DATA / ".cache").mkdir()
    (DATA / ".cache" / "x").write_text("")
    (DATA / "cat" / "0.bmp.gz").write_bytes(gzip.compress(files[0].read_bytes()))
    (DATA / "gone").symlink_to("nowhere")
    assert fingerprint.contents(DATA) == before
    (DATA / "only.gz").write_bytes(b"x")
    assert [*fingerprint.contents(DATA).keys() - before.keys()] == ["only.gz"]


def test_folders_behind_links_count(files: list[Path]) -> None:
    DATA.joinpath("dog").rename("kept")
    DATA.joinpath("dog").symlink_to(Path("kept").resolve())
    note_data(Path("run"), DATA)
    flip_a_bit(Path("kept/1.bmp"))
    assert data_change(Path("run"), DATA) == f"{DATA}/dog/1.bmp has changed since this run began"


@pytest.mark.parametrize(("limit", "named"), [("READ_FILES", "data/dog"), ("READ_BYTES", "data/dog/1.bmp")])
def test_of_a_large_folder_sizes_count_and_nothing_is_read(
    limit: str, named: str, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, limit, 5)
    monkeypatch.setattr(fingerprint, "of_file", None)
    note_data(Path("run"), DATA)
    os.utime(files[0], (1, 1))
    assert data_change(Path("run"), DATA) == ""
    files[4].write_bytes(files[4].read_bytes() + b"x")
    assert data_change(Path("run"), DATA) == f"{named} has changed since this run began"


def test_without_a_note_nothing_is_known(files: list[Path]) -> None:
    assert data_change(Path("run"), DATA) is None
    note_data(Path("run"), None)
    assert not Path("run").exists()


@pytest.fixture
def pictures() -> list[Path]:
    return write_pictures(Path("pictures"), 20)


def interrupted(monkeypatch: pytest.MonkeyPatch) -> Path:
    broken_off(1, lambda: run(*PICTURED), monkeypatch)
    return Path("run")


def below(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_is_noted_as_the_run_begins(pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def first_pass(*args: Any) -> None:
        assert contents(Path("run/data.json"))["folder"] == str(Path("pictures").resolve())
        raise KeyboardInterrupt

    monkeypatch.setattr("dlhw.trainer.Trainer.train_epochs", first_pass)
    with pytest.raises(KeyboardInterrupt):
        run(*PICTURED)
    told = contents(Path("run/data.json"))["files"]
    assert told == {str(path.relative_to("pictures")): sha256(path.read_bytes()) for path in sorted(pictures)}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def test_a_run_does_not_go_on_with_other_data(pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = interrupted(monkeypatch)
    flip_a_bit(pictures[7])
    before = below(folder)
    with pytest.raises(UserError, match=rf"^run: {pictures[7]} has changed since this run began; put the data back"):
        dlhw.run("resume=run")
    assert below(folder) == before
    flip_a_bit(pictures[7])
    assert dlhw.run("resume=run").results["epochs"] == 2


def test_a_run_goes_on_with_a_copy(pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = interrupted(monkeypatch)
    shutil.move("pictures", "before")
    shutil.copytree("before", "pictures", copy_function=shutil.copyfile)
    data = dlhw.run("resume=run").results["data"]
    assert data["files"] == fingerprint.of_contents(contents(folder / "data.json")["files"])
    assert data["files"] == fingerprint.of_files(Path("pictures"))


def test_a_finished_run_is_not_trained_further_on_other_data(pictures: list[Path]) -> None:
    run(*PICTURED)
    flip_a_bit(pictures[0])
    dlhw.run("resume=run")  # is finished, and trains nothing
    with pytest.raises(UserError, match="has changed since this run began"):
        dlhw.run("resume=run", "epochs=4")


def test_an_evaluation_says_so(pictures: list[Path], said: list[str]) -> None:
    run(*PICTURED)
    results = Path("run/results.json").read_bytes()
    said.clear()
    assert evaluate(parse(["run=run"]))["data_changed"] is False
    assert not [line for line in said if "data" in line]
    flip_a_bit(pictures[0])
    assert evaluate(parse(["run=run"]))["data_changed"] is True
    told = [line for line in said if "data" in line]
    assert told == [f"warning: other data: {pictures[0]} has changed since this run began"]
    flip_a_bit(pictures[0])
    Path("run/data.json").unlink()  # as in runs of before there was one
    assert evaluate(parse(["run=run"]))["data_changed"] is None
    assert Path("run/results.json").read_bytes() == results


def write_mnist(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rng = np.random.default_rng(0)
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part, count in (("train", 60), ("t10k", 20)):
        images = rng.integers(0, 256, (count, 28, 28), np.uint8).tobytes()
        (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, count, 28, 28) + images)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">2I", 2049, count) + bytes(range(10)) * (count // 10)
        )
    register(folder, monkeypatch)
    return folder


def register(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have today's files pass for the originals."""
    md5 = tuple(hashlib.md5((folder / name).read_bytes()).hexdigest() for name in mnist.FILES)
    monkeypatch.setitem(mnist.MD5, "MNIST", md5)


def test_a_bit_of_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the set's own md5 is of no help."""
    folder = write_mnist(Path("data"), monkeypatch)
    words = ("dataset=mnist", "dataset.train_size=30", "dataset.val_size=0", "batch_size=10", "epochs=2")
    broken_off(1, lambda: run(*words), monkeypatch)
    assert sorted(contents(Path("run/data.json"))["files"]) == sorted(mnist.FILES)
    flip_a_bit(folder / mnist.FILES[0])
    with pytest.raises(UserError, match="expected"):
        dlhw.run("resume=run")
    register(folder, monkeypatch)
    with pytest.raises(UserError, match=f"{mnist.FILES[0]} has changed since this run began"):
        dlhw.run("resume=run")


def test_a_sweep_tells_of_it_and_trains_again_where_asked(
    pictures: list[Path], command: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run is finished and one is not, when a bit is flipped."""
    typed = [word for word in PICTURED if word not in FC[:2]]
    monkeypatch.setattr("dlhw.sweep.whole.expected", lambda configs: Expectation([1.0] * len(configs), 0))
    line = ("-m", *FC[:2], *typed, "hydra/launcher=basic", "seed=0,1", "name=pair")
    assert command(*line)[0] == 0
    half = next(Path().glob("outputs/sweeps/pair-*/seed=1-*"))
    (half / "results.json").unlink()
    Record(half).status("interrupted")
    for path in pictures:
        os.utime(path, (1, 1))
    assert "other code or data" not in command(*line, "dry_run=true")[1]
    flip_a_bit(pictures[0])
    code, out, err = command(*line)
    assert code == 1
    assert "1 of the finished runs were trained with other code or data than today's" in out
    assert "has changed since this run began" in err
    code, out, err = command(*line, "rerun=true")
    assert (code, "other code" in out) == (0, False), (out, err)
    replaced = sorted(path.name[:6] for path in Path().glob("outputs/sweeps/pair-*/.replaced/*"))
    assert replaced == ["seed=0", "seed=1"]
    noted = [json.loads(path.read_text())["files"] for path in Path().glob("outputs/sweeps/pair-*/seed*/data.json")]
    assert noted == [fingerprint.contents(Path("pictures"))] * 2


@pytest.mark.parametrize("content", ["", "[]", "{", '{"files": 3}', '{"files": ["a"]}', '{"folder": 1}'])
def test_a_damaged_note_is_none(content: str, files: list[Path]) -> None:
    Path("run").mkdir()
    Path("run/data.json").write_text(content)
    assert data_change(Path("run"), DATA) is None
