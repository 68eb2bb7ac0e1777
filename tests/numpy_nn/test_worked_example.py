"""docs/numpy_nn.md: its Python blocks print what it says, its sums by hand come out, its files are the package's."""

import contextlib
import io
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import dlhw.numpy_nn

PAGE = (Path(__file__).parents[2] / "docs" / "numpy_nn.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", PAGE, re.MULTILINE | re.DOTALL)
SUMS = re.findall(r"`([^`=]+) = (-?[\d.]+)`", PAGE)


def execute(count):
    """What each of the first blocks prints, and the names that they leave."""
    names, printed = {}, []
    for source, _ in BLOCKS[:count]:
        with contextlib.redirect_stdout(io.StringIO()) as out, np.printoptions():
            exec(source, names)
        printed.append(out.getvalue())
    return printed, names


def test_blocks_print_what_the_page_shows():
    assert PAGE.count("```python") == len(BLOCKS) == 7
    with np.printoptions(precision=4, suppress=True):  # as its second block sets them
        assert execute(len(BLOCKS))[0] == [shown for _, shown in BLOCKS]


@pytest.mark.parametrize(("left", "right"), SUMS)
def test_sums_by_hand(left, right):
    """They start from rounded figures, so the last digit may be one off."""
    value = eval(left, {"__builtins__": {}, "exp": math.exp, "log": math.log})
    assert value == pytest.approx(float(right), abs=10.0 ** -len(right.partition(".")[2]))


def test_there_are_sums():
    assert len(SUMS) >= 20


def test_the_gradients_are_torchs():
    """Before the page's steps of descent, which change its weights."""
    _, names = execute(3)
    net = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 2)).double()
    for layer, index in ((0, 1), (2, 2), (4, 3)):
        with torch.no_grad():
            net[layer].weight.copy_(torch.tensor(names[f"W{index}"]))
            net[layer].bias.copy_(torch.tensor(names[f"b{index}"]))
    loss = nn.functional.cross_entropy(net(torch.tensor(names["X"])), torch.tensor([0, 1]))
    loss.backward()
    assert loss.item() == pytest.approx(names["L"], rel=1e-12)
    for layer, index in ((0, 1), (2, 2), (4, 3)):
        torch.testing.assert_close(torch.tensor(names[f"dW{index}"]), net[layer].weight.grad)
        torch.testing.assert_close(torch.tensor(names[f"db{index}"]), net[layer].bias.grad)


def test_the_files_are_the_packages():
    named = set(re.findall(r"`(\w+\.py)`", PAGE.split("## ReLU")[0]))
    files = {path.name for path in Path(dlhw.numpy_nn.__file__).parent.glob("*.py")}
    assert named == files - {"__init__.py"}
