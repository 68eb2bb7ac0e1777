"""Checkpoints: what each kind keeps, and that a damaged one is refused."""

import pytest
import torch
from small_runs import FC, resume, run, same_bits, weights
from torch import nn

from dlhw.errors import UserError
from dlhw.folder import checkpoint

CPU = torch.device("cpu")
STATE = {
    "model": {"weight": torch.arange(6, dtype=torch.float32).view(2, 3), "bias": torch.tensor([0.1, 0.3]).double()},
    "epoch": 3,
    "shuffle": torch.Generator().manual_seed(0).get_state(),
    "monitor": {"best": 0.5, "best_epoch": None, "waited": 0, "reference": float("nan")},
    "cuda_rng": None,
}


@pytest.fixture
def saved(tmp_path):
    checkpoint.save(tmp_path / "kept" / "last.pt", STATE)
    return tmp_path / "kept" / "last.pt"


def assert_is_the_state(state) -> None:
    assert same_bits(state["model"], STATE["model"])
    assert torch.equal(state["shuffle"], STATE["shuffle"])
    assert {key: repr(state[key]) for key in ("epoch", "monitor", "cuda_rng")} == {
        key: repr(STATE[key]) for key in ("epoch", "monitor", "cuda_rng")
    }


def test_saved_and_loaded(saved):
    assert_is_the_state(checkpoint.load(saved, CPU))
    assert [path.name for path in saved.parent.iterdir()] == ["last.pt"]


def refusal(path) -> str:
    with pytest.raises(UserError) as refused:
        checkpoint.load(path, CPU)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)
    return str(refused.value)


def test_missing(tmp_path):
    assert "is missing" in refusal(tmp_path / "last.pt")


@pytest.mark.parametrize("left", [0, 1, 100, 0.25, 0.5, 0.9, -1])
def test_truncated(saved, left):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(left * len(whole)) if isinstance(left, float) else left])
    assert "is damaged" in refusal(saved)


@pytest.mark.parametrize("tensor", STATE["model"])
@pytest.mark.parametrize("bit", [0, 6])
def test_one_flipped_bit_in_a_tensor(saved, tensor, bit):
    content = bytearray(saved.read_bytes())
    pattern = STATE["model"][tensor].numpy().tobytes()
    assert content.count(pattern) == 1
    content[content.index(pattern) + len(pattern) // 2] ^= 1 << bit
    saved.write_bytes(content)
    assert "is damaged" in refusal(saved)


def test_one_flipped_bit_anywhere_is_refused_or_does_not_matter(saved):
    """Every byte of the file, one bit each: padding and time stamps do not matter, the rest is noticed."""
    whole = saved.read_bytes()
    refused = 0
    for place in range(0, len(whole), 3):
        content = bytearray(whole)
        content[place] ^= 1 << (place % 8)
        saved.write_bytes(content)
        try:
            state = checkpoint.load(saved, CPU)
        except UserError:
            refused += 1
        else:
            assert_is_the_state(state)
    assert refused > 100


@pytest.mark.parametrize("content", [b"", b"PK", b"not a checkpoint\n" * 100])
def test_another_file(saved, content):
    saved.write_bytes(content)
    assert "is damaged" in refusal(saved)


RUN = (*FC, "epochs=4", "optimizer.lr=0.05", "batch_size=20")


@pytest.mark.parametrize(
    ("kind", "files"), [("best_last", {"best.pt", "last.pt"}), ("last", {"last.pt"}), ("none", set())]
)
def test_files_of_each_kind_and_the_best_weights_are_tested_either_way(kind, files, tmp_path):
    """Trained to pieces after the first epoch, so that the best weights are not the last ones."""
    spoilt = ("scheduler=step", "scheduler.step_size=1", "scheduler.gamma=30")
    ended = run(tmp_path / "run", *RUN, *spoilt, f"checkpoints={kind}")
    kept = tmp_path / "run" / "checkpoints"
    assert {path.name for path in kept.glob("*")} == files
    accuracies = [row["val/accuracy"] for row in ended.rows]
    best = accuracies.index(max(accuracies)) + 1
    assert ended.results["best_epoch"] == best < 4
    assert ended.results["val/accuracy"] == max(accuracies)
    reference = run(tmp_path / "reference", *RUN, *spoilt, f"epochs={best}", "checkpoints=last")
    for key in ("test/accuracy", "test/loss", "test/macro_f1", "test/class_accuracy"):
        assert ended.results[key] == reference.results[key]
    best_weights = weights(tmp_path / "reference" / "checkpoints" / "last.pt")
    if kind == "best_last":
        state = torch.load(kept / "best.pt", weights_only=True)
        assert set(state) == {"model", "epoch", "inputs"}
        assert state["epoch"] == best
        assert same_bits(state["model"], best_weights)
        assert same_bits(torch.load(kept / "last.pt", weights_only=True)["best"], best_weights)
    if kind == "last":
        state = torch.load(kept / "last.pt", weights_only=True)
        assert same_bits(state["best"], best_weights)
        assert not same_bits(state["model"], best_weights)
        assert state["epoch"] == 4


def test_without_a_validation_split_the_last_weights_are_tested(tmp_path):
    ended = run(tmp_path / "run", *RUN, "dataset.val_size=0")
    assert {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()} == {"last.pt"}
    assert ended.results["best_epoch"] is None
    assert ended.results["monitor"] is None


def test_what_a_checkpoint_holds(tmp_path):
    run(tmp_path / "run", *RUN, "dataset.normalize=channel")
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.pt", weights_only=True)
    assert state["epoch"] == 4
    assert state["step"] == 40
    assert set(state["inputs"]) == {"mean", "std"}
    assert {"model", "optimizer", "schedule", "shuffle", "augment", "rng", "monitor"} <= set(state)


def test_a_damaged_checkpoint_is_refused_by_a_resume(tmp_path):
    folder = tmp_path / "run"
    run(folder, *RUN)
    last = folder / "checkpoints" / "last.pt"
    last.write_bytes(last.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"last\.pt is damaged or truncated") as refused:
        resume(folder, "epochs=5")
    assert "\n" not in str(refused.value)
    assert last.is_file()


@pytest.mark.parametrize(("kind", "expected"), [("none", 0), ("last", 1), ("best_last", 1)])
@pytest.mark.parametrize(("optimizer", "moments"), [(torch.optim.SGD, 1), (torch.optim.Adam, 2)])
def test_expected_bytes(kind, expected, optimizer, moments):
    model = nn.Linear(100, 10)
    weights = 4 * 1010
    found = checkpoint.expected_bytes(model, optimizer(model.parameters(), lr=0.1), kind)
    assert found == expected * (weights + 3 * weights * (2 + moments))
