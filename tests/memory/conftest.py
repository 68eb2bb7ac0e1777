"""A machine with little memory, and the commands inside this process."""

import ctypes
import gc
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from dlhw import cli, eval_cli, memory


@pytest.fixture(autouse=True)
def a_place_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    at_sigterm = signal.getsignal(signal.SIGTERM)
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()
    signal.signal(signal.SIGTERM, at_sigterm)
    for name in ("dlhw", "dlhw_sweep"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Type a command: its exit code, stdout and stderr."""

    def call(program: str, *words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [program, *words])
        for name in ("dlhw", "dlhw_sweep"):
            logging.getLogger(name).handlers.clear()  # which write to a stdout of before
        capsys.readouterr()
        try:
            {"dlhw": cli.main, "dlhw-eval": eval_cli.main}[program]()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have the machine own so many free bytes, beside what this process has already."""

    def have(free: int) -> None:
        gc.collect()  # what other tests left: freed a little later, it would make room for more than is told here
        if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
            libc.malloc_trim(0)  # nor is anything taken from what glibc has kept
        monkeypatch.setattr(memory, "_free_on_linux", lambda swap=False: free)

    return have
