from pathlib import Path

import pytest
from made_up_runs import write_run


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Ten classes, ten epochs, a validation split."""
    return write_run(tmp_path / "run")
