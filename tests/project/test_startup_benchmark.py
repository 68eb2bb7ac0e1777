"""The benchmark of start-up counts right, and its first step is one; how long it takes is nobody's assertion."""

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

STARTUP = Path(__file__).parents[2] / "benchmarks" / "startup.py"


@pytest.fixture(scope="module")
def startup() -> dict[str, Any]:
    return runpy.run_path(str(STARTUP))


def test_the_first_step_is_reached(startup: dict[str, Any], tmp_path: Path) -> None:
    (command, code) = startup["COMMANDS"]["`dlhw`, until its first step is done"]
    assert 0 < startup["seconds"](command, code, str(tmp_path)) < 600
    (folder,) = tmp_path.glob("outputs/runs/lenet5_digits/*")
    assert not (folder / "metrics.csv").exists()


def test_a_command_that_ends_otherwise_is_not_measured(startup: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ends with 3: broken"):
        startup["seconds"]([sys.executable, "-c", "import sys; print('broken', file=sys.stderr); sys.exit(3)"],
                           0, str(tmp_path))  # fmt: skip


def test_ratios_are_within_rounds(startup: dict[str, Any]) -> None:
    times = {startup["TORCH"]: [1.0, 2.0, 4.0], "`dlhw`": [1.5, 2.0, 8.0]}
    lines = startup["table"](times).splitlines()
    assert lines[2] == f"| {startup['TORCH']} | 2.00 | 1.00 [1.00..1.00] |  |"
    assert lines[3] == "| `dlhw` | 2.00 | 1.50 [1.00..2.00] |  |"
