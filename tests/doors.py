"""The two doors: the command inside this process, which is quick, and as a process of its own, which is real."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from outcomes import Outcome

from dlhw import cli, eval_cli

DOORS = {"dlhw": cli.main, "dlhw-eval": eval_cli.main}


@pytest.fixture(autouse=True)
def a_place_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Each test stands in an empty folder, and what a command leaves in the process is put back."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    root, ours = logging.getLogger(), [logging.getLogger(name) for name in ("dlhw", "dlhw_sweep")]
    handlers, level, at_sigterm = [*root.handlers], root.level, signal.getsignal(signal.SIGTERM)
    GlobalHydra.instance().clear()
    for logger in ours:
        logger.handlers.clear()
    sys.modules.pop("mynets", None)  # the name that several tests give to a module of the user's own
    yield here
    sys.modules.pop("mynets", None)
    GlobalHydra.instance().clear()
    for logger in ours:
        logger.handlers.clear()
        logger.propagate = True
    root.handlers[:] = handlers
    root.setLevel(level)
    signal.signal(signal.SIGTERM, at_sigterm)


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Call a command in this process: door("model=fc", "epochs=1")."""

    def call(*words: str, program: str = "dlhw") -> Outcome:
        monkeypatch.setattr(sys, "argv", [program, *words])
        for name in ("dlhw", "dlhw_sweep"):
            logging.getLogger(name).handlers.clear()  # pytest's, or one that writes to a stdout of before
        capsys.readouterr()
        try:
            DOORS[program]()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture
def process() -> Callable[..., Outcome]:
    """Call a command, or Python with a script, as a process of its own, standing where the test stands."""

    def call(*words: str, program: str = "dlhw", **environment: str) -> Outcome:
        line = [str(Path(sys.executable).parent / program), *words]
        done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, **environment}, timeout=120)
        return Outcome(done.returncode, done.stdout, done.stderr)

    return call
