"""A run in which one call that changes a file fails, by the system's word: what it says, leaves, and goes on to.

Every open, write, sync, rename, mkdir and unlink below the run's folder goes through shim.c, torch's own included.
"""

import contextlib
import ctypes
import errno
import io
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RUN = (
    *("model=fc", "model.hidden=[4]", "model.dropout=0.2", "dataset.train_size=120", "dataset.image_size=8"),
    *("batch_size=30", "epochs=3", "checkpoint_every=3", "plots=basic", "device=cpu", "threads=1"),
)
KINDS = {  # errno, and whether it fails once or from then on
    "the disk is full from then on": (errno.ENOSPC, False),
    "an input/output error, once": (errno.EIO, True),
    "permission is lost from then on": (errno.EACCES, False),
    "the disk is full, once": (errno.ENOSPC, True),
}


def compiled(folder: Path) -> Path | None:
    """The shim; None where there is no C compiler, or no Linux."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        return None
    library = folder / "shim.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(HERE / "shim.c"), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return library


def injected(shim: Path, kind: str, stride: int = 1, start: int = 1) -> Iterator[dict[str, Any]]:
    """In a process of its own, whatever comes of a failure at every stride-th call from `start` to the last."""
    command = [sys.executable, str(HERE / "faults.py"), kind, str(stride), str(start)]
    environment = {**os.environ, "LD_PRELOAD": str(shim), "HYDRA_FULL_ERROR": "0"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        yield from map(json.loads, process.stdout)
    assert process.returncode == 0


def main() -> None:
    kind, stride, start = sys.argv[1], *map(int, sys.argv[2:])
    sys.path.insert(0, str(HERE.parent / "torture"))
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        for line in outcomes(Path(place), *KINDS[kind], stride, start):
            print(json.dumps(line), file=sys.__stdout__, flush=True)


def outcomes(place: Path, error: int, once: bool, stride: int, start: int) -> Iterable[dict[str, Any]]:
    from leavings import broken_files, fingerprints

    shim = ctypes.CDLL(None)
    folder = place / "run"
    shim.arm(bytes(folder), 0, error, 0)  # counts the calls that could fail so
    assert dlhw(*RUN, "hydra.run.dir=run")[0] == 0
    whole, calls = fingerprints(folder), shim.counted()
    shutil.rmtree(folder)
    for call in range(start, calls + 1, stride):
        shim.arm(bytes(folder), call, error, once)
        code, told = dlhw(*RUN, "hydra.run.dir=run")
        shim.arm(b"", 0, 0, 0)
        broken = broken_files(folder)
        begun = (folder / ".hydra" / "config.yaml").is_file()
        ended, words = dlhw("resume=run") if begun else dlhw(*RUN, "hydra.run.dir=run")
        left = fingerprints(folder)
        differs = [name for name in {*left, *whole} if left.get(name) != whole.get(name)]
        yield {"call": call, "of": calls, "code": code, "told": told, "broken": broken, "begun": begun,
               "ended": ended, "words": words, "differs": differs}  # fmt: skip
        shutil.rmtree(folder)


def dlhw(*words: str) -> tuple[int, str]:
    """The command in this process: its exit code, and what it says on stderr."""
    from hydra.core.global_hydra import GlobalHydra

    from dlhw import cli

    sys.argv = ["dlhw", *words]
    GlobalHydra.instance().clear()
    for name in ("dlhw", "dlhw_sweep"):
        logging.getLogger(name).handlers.clear()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as told:
        try:
            cli.main()
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None), told.getvalue()
    return 0, told.getvalue()


if __name__ == "__main__":
    main()
