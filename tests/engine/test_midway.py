"""A run broken off in the middle of an epoch goes on from there, and ends as one that was not, to the last bit."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from killed_runs import EVERYTHING_RANDOM
from small_runs import resume, run, same_bits, timeless, weights

import dlhw
from dlhw.errors import UserError
from dlhw.folder import checkpoint
from dlhw.folder.checkpoint import Checkpoints

SMALL_UNET = ("model.base_channels=4", "model.depth=2")
IMAGES = ("dataset.train_size=60", "dataset.val_size=20", "dataset.test_size=20", "batch_size=8")
SHORT = ("batch_size=4", "limit_batches=3", "dataset.test_size=10", "epochs=1")
FAMILIES = {  # each as its preset has it, in small
    "fc": ("model=fc", "model.hidden=[16]", "model.batchnorm=true", "plots=basic", *IMAGES),
    "fc_numpy": ("model=fc", "model.hidden=[16]", "model.dropout=0.3", "backend=numpy", *IMAGES),
    "lenet5": ("model=lenet5", *EVERYTHING_RANDOM[6:-2], *IMAGES),
    "lenet5_numpy": ("model=lenet5", "model.dropout=0.3", "backend=numpy", *IMAGES),
    "convnet": ("model=convnet", "model.conv_dropout=0.1", "model.dropout=0.5", "optimizer=rmsprop", *IMAGES),
    "vgg16": ("model=vgg16", "dataset.image_size=32", *IMAGES, *SHORT, "optimizer=sgd"),
    "resnet50": ("model=resnet50", "dataset.image_size=16", *IMAGES, *SHORT),
    "canvas": ("dataset=canvas", "dataset.image_size=20", "dataset.object_size=8", *SMALL_UNET, *IMAGES),
    "denoise": ("dataset=denoise", "dataset.image_size=12", "dataset.augment.flip=true", *SMALL_UNET, *IMAGES),
    "resnet50_unet": (
        *("dataset=canvas", "dataset.image_size=32", "dataset.object_size=8", "model=resnet50_unet"),
        *("model.base_channels=4", *IMAGES, *SHORT),
    ),
    "rnn": (
        *("dataset=sine", "dataset.length=200", "dataset.val_size=40", "dataset.test_size=40"),
        *("model.dropout=0.2", "model.num_layers=2", "batch_size=20"),
    ),
    "xor": ("dataset=xor", "model=fc", "model.hidden=[2]", "loss=mse", "log_every=4"),
    "toy": ("experiment=cifar10/two_layer_toy", "batch_size=2", "accumulate_steps=2", "log_every=3"),
}


class BrokenOff(BaseException):
    """As Ctrl-C would, but nothing else raises it."""


def break_off(patch: pytest.MonkeyPatch, step: int) -> None:
    """Have training break off right after the state of so many steps was kept within an epoch."""
    save_last = Checkpoints.save_last

    def save_and_break_off(self, trainer, monitor, is_best=False):
        save_last(self, trainer, monitor, is_best)
        if trainer.passes is not None and trainer.steps_done == step:
            patch.setattr(Checkpoints, "save_last", save_last)
            raise BrokenOff

    patch.setattr(Checkpoints, "save_last", save_and_break_off)


@pytest.fixture
def breaking_off(monkeypatch):
    return partial(break_off, monkeypatch)


def trained(folder, *overrides: str) -> None:
    typed = {override.partition("=")[0]: override for override in ("epochs=2", "plots=none", *overrides)}
    dlhw.run("device=cpu", "threads=1", *typed.values(), f"hydra.run.dir={folder}")


def broken_off(folder, *overrides: str) -> None:
    with pytest.raises(BrokenOff):
        trained(folder, *overrides)


def assert_same_run(folder, oracle) -> None:
    for kept in ("last.pt", "best.pt"):
        if (oracle / "checkpoints" / kept).is_file():
            assert same_bits(weights(folder / "checkpoints" / kept), weights(oracle / "checkpoints" / kept)), kept
    assert timeless(folder) == timeless(oracle)
    assert (folder / "steps.csv").read_bytes() == (oracle / "steps.csv").read_bytes()
    assert figures(folder) == figures(oracle)
    with np.load(folder / "arrays.npz") as ours, np.load(oracle / "arrays.npz") as theirs:
        assert ours.files == theirs.files
        assert all(ours[key].tobytes() == theirs[key].tobytes() for key in theirs.files)
    assert {path.name for path in folder.rglob("*")} == {path.name for path in oracle.rglob("*")}


def figures(folder) -> dict:
    results = json.loads((folder / "results.json").read_text())
    return {key: value for key, value in results.items() if key not in ("seconds", "command", "git_commit")}


LARGE = ("vgg16", "resnet50", "resnet50_unet")  # half a minute each, most of it their convolutions


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in FAMILIES]
)
def test_every_family_goes_on_within_an_epoch(name, breaking_off, tmp_path):
    trained(tmp_path / "whole", *FAMILIES[name])
    steps = len((tmp_path / "whole" / "steps.csv").read_text().splitlines()) - 1
    broken = tmp_path / "broken"
    breaking_off(steps - 1)
    broken_off(broken, *FAMILIES[name], f"checkpoint_every={steps - 1}")
    assert torch.load(broken / "checkpoints" / "last.pt", weights_only=True)["passes"] is not None
    resume(broken)
    assert_same_run(broken, tmp_path / "whole")


@pytest.fixture(scope="module")
def everything_random():
    return (
        *EVERYTHING_RANDOM[:-2],
        "epochs=3",
        "accumulate_steps=2",
        "batch_size=20",
        "loss_below=2.25",
        "log_every=2",
    )


@pytest.fixture(scope="module")
def whole(everything_random, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(folder, *everything_random)
    return folder


STEPS = 5  # of an epoch: ten batches of twenty, two a step


AT_AN_END = (0, 1, STEPS - 1)  # of an epoch: its last step, its first, the one before its last


@pytest.mark.parametrize(
    "step",
    [pytest.param(step, marks=() if step % STEPS in AT_AN_END else pytest.mark.slow) for step in range(1, 3 * STEPS)],
)
def test_any_step_of_a_run_in_which_everything_is_random(step, everything_random, whole, breaking_off, tmp_path):
    """A row comes after the second epoch and after the third; nothing is kept within epochs at those steps."""
    if step == 2 * STEPS:
        pytest.skip("a row's own checkpoint; see test_killed.py")
    breaking_off(step)
    with pytest.raises(BrokenOff):
        run(tmp_path / "run", *everything_random, f"checkpoint_every={step}")
    resume(tmp_path / "run")
    assert_same_run(tmp_path / "run", whole)


def test_broken_off_twice_within_an_epoch(everything_random, whole, breaking_off, tmp_path):
    breaking_off(7)
    with pytest.raises(BrokenOff):
        run(tmp_path / "run", *everything_random, "checkpoint_every=1")
    breaking_off(9)
    with pytest.raises(BrokenOff):
        resume(tmp_path / "run")
    resume(tmp_path / "run")
    assert_same_run(tmp_path / "run", whole)


PARTS = (
    *("model", "optimizer", "schedule", "epoch", "step", "first_below", "shuffle", "augment", "rng", "best", "monitor"),
    *(f"passes.{name}" for name in ("first", "epoch", "lr", "losses", "sizes", "begin", "metrics", "under_way")),
)


@pytest.mark.parametrize("part", [None, *PARTS])
def test_no_part_of_the_state_can_be_left_out(part, stops_early, tmp_path):
    """With any one as it is in a run that has just begun, the run that goes on ends differently, or not at all."""
    shutil.copytree(stops_early / "run", tmp_path / "run")
    if part is not None:
        forget(tmp_path / "run", part, stops_early / "begun")
    try:
        resume(tmp_path / "run")
        assert_same_run(tmp_path / "run", stops_early / "whole")
    except (Exception, AssertionError):
        assert part is not None
    else:
        assert part is None


# The second row, of epoch 4, is worse than the first; five steps an epoch.
STOPS_EARLY = (
    *("epochs=6", "log_every=2", "optimizer.lr=0.01", "scheduler.step_size=6", "scheduler.gamma=5"),
    "early_stopping.patience=1",
)


@pytest.fixture(scope="module")
def stops_early(tmp_path_factory):
    """The run as a whole, broken off after step 17 (run), and after its first step (begun)."""
    place, overrides = tmp_path_factory.mktemp("stops_early"), (*EVERYTHING_RANDOM[:-2], *STOPS_EARLY, "loss_below=2.2")
    run(place / "whole", *overrides)
    for name, step in (("run", 17), ("begun", 1)):
        with pytest.MonkeyPatch.context() as patch:
            break_off(patch, step)
            with pytest.raises(BrokenOff):
                run(place / name, *overrides, "checkpoint_every=1")
    return place


def forget(folder, part: str, begun_folder) -> None:
    """Put what a run has after its first step where the checkpoint has this part."""
    last, cpu = folder / "checkpoints" / "last.pt", torch.device("cpu")
    state, begun = checkpoint.load(last, cpu), checkpoint.load(begun_folder / "checkpoints" / "last.pt", cpu)
    where, _, name = part.rpartition(".")
    (state[where] if where else state)[name] = (begun[where] if where else begun)[name]
    if part == "passes.under_way":
        state["passes"]["under_way"] = False
    checkpoint.save(last, state)


@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped"])
def test_the_one_before_is_used_where_the_last_is_damaged(
    damage, everything_random, whole, breaking_off, tmp_path, caplog
):
    breaking_off(9)
    with pytest.raises(BrokenOff):
        run(tmp_path / "run", *everything_random, "checkpoint_every=1")
    last = tmp_path / "run" / "checkpoints" / "last.pt"
    spoil(last, damage)
    resume(tmp_path / "run")
    assert_same_run(tmp_path / "run", whole)
    (line,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert str(last) in line
    assert "going on from the one before it" in line
    assert ("is missing" if damage == "missing" else "is damaged or truncated") in line


def spoil(path, damage: str) -> None:
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
        return
    content[len(content) // 3] ^= 4
    path.write_bytes(content if damage == "flipped" else content[: len(content) // 3])


def test_a_run_without_a_whole_checkpoint_is_refused_and_left_alone(everything_random, breaking_off, tmp_path):
    breaking_off(9)
    with pytest.raises(BrokenOff):
        run(tmp_path / "run", *everything_random, "checkpoint_every=1")
    kept = tmp_path / "run" / "checkpoints"
    for name in ("last.pt", "previous.pt"):
        spoil(kept / name, "flipped")
    before = {path: path.read_bytes() for path in kept.iterdir()}
    with pytest.raises(UserError, match=r"previous\.pt is damaged or truncated"):
        resume(tmp_path / "run")
    assert {path: path.read_bytes() for path in kept.iterdir()} == before


def test_a_damaged_best_is_written_again(everything_random, whole, breaking_off, tmp_path, caplog):
    breaking_off(2 * STEPS + 2)
    with pytest.raises(BrokenOff):
        run(tmp_path / "run", *everything_random, "checkpoint_every=1")
    spoil(tmp_path / "run" / "checkpoints" / "best.pt", "flipped")
    resume(tmp_path / "run")
    assert_same_run(tmp_path / "run", whole)
    assert "written again from last.pt" in caplog.text


@pytest.mark.parametrize("every", ["1s", "2min", "1h"])
def test_by_the_clock(every, monkeypatch, tmp_path):
    """A clock on which every step takes forty seconds; rows come with checkpoints of their own."""
    now, kept = [0.0], []
    monkeypatch.setattr("dlhw.folder.checkpoint.time.monotonic", lambda: now[0])
    save_last, train_step = Checkpoints.save_last, dlhw.trainer.Trainer.train_step

    def noted(self, trainer, *args):
        kept.append(trainer.steps_done)
        save_last(self, trainer, *args)

    def slow(self, *args):
        now[0] += 40
        return train_step(self, *args)

    monkeypatch.setattr(Checkpoints, "save_last", noted)
    monkeypatch.setattr("dlhw.trainer.Trainer.train_step", slow)
    run(tmp_path / "run", "model=fc", "model.hidden=[4]", "batch_size=20", "epochs=2", f"checkpoint_every={every}")
    expected = {"1s": [*range(1, 21)], "2min": [3, 6, 9, 10, 13, 16, 19, 20], "1h": [10, 20]}
    assert kept == expected[every]


@pytest.mark.parametrize("every", ["0", "-5", "10m", "ten", "1.5h", "true", "[1]", "0s", "1e3"])
def test_other_intervals_are_refused(every, tmp_path):
    with pytest.raises(UserError, match=r"checkpoint_every=.*is a number of steps \(500\), a time \(90s, 10min, 2h\)"):
        run(tmp_path / "run", f"checkpoint_every={every}")


@pytest.mark.parametrize("every", ["null", "1h", "3"])
def test_how_often_changes_no_bit(every, everything_random, whole, tmp_path):
    run(tmp_path / "run", *everything_random, f"checkpoint_every={every}")
    assert_same_run(tmp_path / "run", whole)
