import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test stands in a folder of its own, with one thread; dlhw's console handler goes when its stdout does."""
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    yield
    logging.getLogger("dlhw").handlers.clear()


@pytest.fixture
def said() -> list[str]:
    """What dlhw logs while the test runs; own_folder takes the handler off."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger("dlhw").addHandler(handler)
    logging.getLogger("dlhw").setLevel(logging.INFO)
    return lines
