"""The benchmark runs; what it measures is nobody's assertion."""

import re
import runpy
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "training_loop.py"


def test_benchmark_writes_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlhw.dataset import mnist

    monkeypatch.setitem(mnist.MD5, "FashionMNIST", mnist.MD5["FashionMNIST"])  # it makes its own images' hashes known
    output = tmp_path / "results" / "table.md"
    monkeypatch.setattr(sys, "argv", [str(BENCHMARK), "--rounds", "2", "--nets", "mlp", "--output", str(output)])
    runpy.run_path(str(BENCHMARK), run_name="__main__")
    assert re.search(r"^\| mlp \| [\d,]+ \| \d+\.\d\d \[", output.read_text(), re.MULTILINE)
