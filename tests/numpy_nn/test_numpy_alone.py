"""numpy_nn imports NumPy and the standard library alone."""

import ast
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dlhw.numpy_nn
from dlhw.numpy_nn.erf import erf

FILES = sorted(Path(dlhw.numpy_nn.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_imports(path):
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    foreign = {name for name in names if name.partition(".")[0] not in {"numpy", *sys.stdlib_module_names}}
    assert all(name.startswith("dlhw.numpy_nn") for name in foreign)


def test_torch_is_not_loaded():
    code = "import sys, dlhw.numpy_nn; print(*sorted({'torch', 'scipy', 'hydra', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_all_is_sorted_and_complete():
    assert all(hasattr(dlhw.numpy_nn, name) for name in dlhw.numpy_nn.__all__)


def test_erf():
    x = np.linspace(-8, 8, 4001)
    np.testing.assert_allclose(erf(x), [math.erf(value) for value in x], rtol=1e-14, atol=1e-300)
