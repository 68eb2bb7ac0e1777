from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test stands in a folder of its own, with one thread, and leaves torch's random numbers as they were."""
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        yield
