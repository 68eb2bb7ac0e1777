import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

from dlhw import cli


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Each test stands in a folder of its own, with one thread, and leaves no handler and no Hydra behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    torch.set_num_threads(1)
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    GlobalHydra.instance().clear()
    yield tmp_path
    GlobalHydra.instance().clear()
    for name in ("dlhw", "dlhw_sweep"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def said() -> list[str]:
    """What dlhw logs while the test runs."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("dlhw").addHandler(handler)
    logging.getLogger("dlhw").setLevel(logging.INFO)
    return lines


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`dlhw` in this process, without the page at a sweep's end: its exit code, stdout and stderr."""
    monkeypatch.setattr("dlhw.sweep.whole.report", lambda folder: None)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dlhw", *words])
        for name in ("dlhw", "dlhw_sweep"):
            logging.getLogger(name).handlers.clear()
        capsys.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return code, *capsys.readouterr()

    return call
