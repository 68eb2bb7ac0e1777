"""The command `dlhw` in several processes at once, as torchrun starts it, but without importing torch anew in each."""

import csv
import multiprocessing
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

CONTEXT = multiprocessing.get_context("forkserver")  # imports torch once, and forks before any thread is started
CONTEXT.set_forkserver_preload(["dlhw.one_run", "sklearn.datasets", "torch._dynamo"])  # which DDP imports
TINY = ("dataset.train_size=201", "plots=none", "device=cpu", "threads=1")


@dataclass
class Ended:
    """How a rank ended: its exit code, negative for a signal, and all that it printed."""

    code: int
    out: str


def together(world_size: int, *words: str) -> list[Ended]:
    """`dlhw WORDS` in so many processes, which stand where the caller does; all end within 30 seconds of the first."""
    here = Path.cwd()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    processes = [
        CONTEXT.Process(target=one_of, args=(here, rank, world_size, port, words), daemon=False)
        for rank in range(world_size)
    ]
    for process in processes:
        process.start()
    multiprocessing.connection.wait([process.sentinel for process in processes])
    for process in processes:
        process.join(30)
        assert process.exitcode is not None, "a process outlived the others"
    printed = [printed_by(here, rank) for rank in range(world_size)]
    ended = [Ended(process.exitcode, out.read_text()) for process, out in zip(processes, printed, strict=True)]
    for path in printed:
        path.unlink()
    return ended


def printed_by(here: Path, rank: int) -> Path:
    return here.parent / f"{here.name}-rank{rank}.txt"


def one_of(here: Path, rank: int, world_size: int, port: int, words: tuple[str, ...]) -> None:
    os.chdir(here)
    file = os.open(printed_by(here, rank), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout, sys.stderr = (os.fdopen(fd, "w", buffering=1) for fd in (1, 2))
    local = {"LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(world_size)}
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world_size), **local, **address}
    sys.argv = ["dlhw", *words]
    from dlhw import cli

    cli.main()


def alone(*words: str) -> None:
    (ended,) = together(1, *words)
    assert ended.code == 0, ended


def succeed(world_size: int, *words: str) -> str:
    """What the first rank printed; the others are silent."""
    first, *others = together(world_size, *words)
    assert [first.code, *(other.code for other in others)] == [0] * world_size, (first, others)
    assert [other.out for other in others] == [""] * len(others)
    return first.out


def losses(folder: Path) -> list[float]:
    with (folder / "steps.csv").open(newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def rows(folder: Path) -> list[dict[str, float]]:
    """metrics.csv, less the two columns that measure time."""
    with (folder / "metrics.csv").open(newline="") as file:
        table = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return [{k: v for k, v in row.items() if k not in ("seconds", "samples_per_second")} for row in table]


def last(folder: Path) -> dict:
    return torch.load(folder / "checkpoints" / "last.pt", weights_only=True)
