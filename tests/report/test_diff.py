"""Two runs side by side."""

import re

import pytest
import torch
from made_up_sweeps import accuracies, write_run

from dlhw.errors import UserError
from dlhw.report.diff import diff

pytestmark = pytest.mark.filterwarnings("error")


def save(folder, **weights):
    (folder / "checkpoints").mkdir()
    torch.save({"model": weights}, folder / "checkpoints" / "last.pt")


@pytest.fixture
def two(tmp_path):
    a = write_run(tmp_path / "a", figures=accuracies(0.75, code="c0de1"), losses=[2.0, 1.5, 1.25, 1.0])
    changed = {"optimizer.lr": 0.01, "epochs": 3}
    figures = accuracies(0.875, code="c0de2", git_commit="0dd", device_name="Apple M2")
    b = write_run(tmp_path / "b", config=changed, figures=figures, losses=[2.0, 1.5, 1.0, 1.125])
    return a, b


def section(text, title):
    return re.search(rf"^{title}\n((?:  .*\n?)*)", text, re.MULTILINE)[1].rstrip()


def test_what_differs(two):
    text = diff(*two)
    assert section(text, "config") == "  key           a      b\n  optimizer.lr  0.001  0.01\n  epochs        2      3"
    assert section(text, "code").splitlines() == [
        "  git_commit differs: eb419f3 against 0dd",
        "  code differs: c0de1 against c0de2",
    ]
    assert section(text, "made with").endswith("  device  cpu (AMD EPYC)  cpu (Apple M2)")
    figures = section(text, "figures")
    assert re.search(r"test/accuracy +0\.75 +0\.875 +\+0\.125\n", figures)
    assert re.search(r"train/loss +0\.25 +0\.25 +0\n", figures)


def test_the_first_step_whose_loss_differs(two):
    """By 0.25 at step 3, by 0.125 at step 4."""
    assert section(diff(*two), "losses").splitlines() == [
        "  step 3 is the first to differ: 1.25 against 1",
        "  largest difference 0.25, at step 3",
    ]


def test_a_run_and_itself(two):
    save(two[0], w=torch.tensor([1.0, float("nan"), float("inf")]))
    text = diff(two[0], two[0])
    assert section(text, "config") == "  the same"
    assert section(text, "losses") == "  the same bits at all 4 steps"
    assert section(text, "weights") == "  the same in all that both have"


def test_runs_of_different_length_and_losses_that_are_not_finite(tmp_path):
    nan, inf = float("nan"), float("inf")
    a = write_run(tmp_path / "a", losses=[2.0, nan, inf])
    b = write_run(tmp_path / "b", losses=[2.0, nan, inf, 1.0])
    c = write_run(tmp_path / "c", losses=[2.0, 3.0])
    said = "3 steps against 4: the 3 that both took are compared"
    assert section(diff(a, b), "losses").split("\n  ") == [f"  {said}", "the same bits at all 3 steps"]
    assert section(diff(a, c), "losses").endswith("step 2 is the first to differ: nan against 3")


def test_the_largest_difference_of_weights(two):
    save(two[0], same=torch.ones(2), moved=torch.tensor([1.0, 2.0]), grown=torch.ones(2), gone=torch.ones(1))
    save(two[1], same=torch.ones(2), moved=torch.tensor([1.0, 2.5]), grown=torch.ones(3), new=torch.ones(1))
    assert section(diff(*two), "weights").split("\n  ") == [
        "  only in a: gone", "only in b: new", "grown: (2,) against (3,)", "largest difference 0.5, in moved",
    ]  # fmt: skip


def test_without_steps_and_checkpoints(two):
    (two[0] / "steps.csv").unlink()
    text = diff(*two)
    assert "losses" not in text
    assert "weights" not in text


def test_damaged_weights_are_told(two):
    for folder in two:
        save(folder, w=torch.ones(1))
    (two[1] / "checkpoints" / "last.pt").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"last.pt is damaged or truncated"):
        diff(*two)


def test_a_folder_that_is_no_run(two, tmp_path):
    with pytest.raises(UserError, match="is no run's folder"):
        diff(two[0], tmp_path)
    with pytest.raises(UserError, match=r"no such folder.*did you mean .*/a\?"):
        diff(tmp_path / "aa", two[1])
