"""SIGKILL of a sweep's parent, of a worker, or of all at once: the same line ends as if nothing had happened."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

RUNS = 10
LINE = (
    str(Path(sys.executable).parent / "dlhw"),
    *("-m", "model=fc", "model.hidden=[8]", "epochs=4", "plots=none", "dataset.train_size=200", "batch_size=20"),
    *("model.dropout=0.2", f"seed=range({RUNS})", "name=killed"),
)
TWO_WORKERS = "hydra.launcher.n_jobs=2"
TIMINGS = ("seconds", "samples_per_second")


def start(place: Path, launcher: str = TWO_WORKERS) -> "subprocess.Popen[str]":
    """A sweep in a process group of its own."""
    place.mkdir(exist_ok=True)
    return subprocess.Popen(
        [*LINE, launcher],
        cwd=place,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def undisturbed(place: Path, launcher: str = TWO_WORKERS) -> str:
    process = start(place, launcher)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    return out


def summary(place: Path) -> list[dict[str, str]]:
    """summary.csv, timings aside."""
    (path,) = place.glob("outputs/sweeps/killed-*/summary.csv")
    with path.open(newline="") as file:
        return [{key: value for key, value in row.items() if key not in TIMINGS} for row in csv.DictReader(file)]


def finished(place: Path) -> dict[Path, bytes]:
    """Every file of the runs that are finished."""
    done = [path.parent for path in place.glob("outputs/sweeps/*/*/status.json") if '"finished"' in path.read_text()]
    return {file: file.read_bytes() for run in done for file in run.rglob("*") if file.is_file()}


def workers(parent: int) -> list[int]:
    """Joblib's workers among the parent's children."""
    found = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(parent)], capture_output=True, text=True)
    lines = [line.split(None, 1) for line in found.stdout.splitlines()]
    return [int(pid) for pid, args in lines if "loky.backend.popen_loky" in args]


def kill_parent(parent: int) -> None:
    os.kill(parent, signal.SIGKILL)


def kill_worker(parent: int) -> None:
    for pid in workers(parent)[:1]:
        os.kill(pid, signal.SIGKILL)


def kill_all(parent: int) -> None:
    os.killpg(parent, signal.SIGKILL)


KILLS: tuple[Callable[[int], None], ...] = (kill_parent, kill_worker, kill_all)


def disturb(place: Path, kill: Callable[[int], None], reached: Callable[[int], bool]) -> "subprocess.Popen[str]":
    """Start the sweep and kill when it has got where `reached`, given its process, wants it."""
    process = start(place)
    while process.poll() is None and not reached(process.pid):
        time.sleep(0.01)
    if process.poll() is None:  # else it was quicker than the moment
        kill(process.pid)
    if kill is kill_worker:
        process.communicate(timeout=300)  # a sweep whose worker is killed goes on by itself
    return process


def assert_kept(kept: dict[Path, bytes]) -> None:
    assert {path: path.read_bytes() for path in kept} == kept


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """What an undisturbed sweep leaves, without workers, whose start takes the most."""
    place = tmp_path_factory.mktemp("undisturbed")
    undisturbed(place, "hydra/launcher=basic")
    rows = summary(place)
    assert [row["status"] for row in rows] == ["finished"] * RUNS
    return rows


def test_each_kill_in_turn(tmp_path: Path, whole: list[dict[str, str]]) -> None:
    """Each when one more run is finished, of the sweep that the one before left; its orphans may be at work still."""
    processes = []
    for kill in (kill_parent, kill_all, kill_worker):
        kept = finished(tmp_path)

        def one_more(parent: int, kill: Callable[[int], None] = kill, before: int = len(results(tmp_path))) -> bool:
            return len(results(tmp_path)) > before and (kill is not kill_worker or bool(workers(parent)))

        processes.append(disturb(tmp_path, kill, one_more))
        assert_kept(kept)
    kept = finished(tmp_path)
    undisturbed(tmp_path)
    assert_kept(kept)
    for process in processes:
        process.communicate(timeout=60)
    assert summary(tmp_path) == whole


def results(place: Path) -> list[Path]:
    return [*place.glob("outputs/sweeps/*/*/results.json")]


@pytest.mark.slow
@pytest.mark.parametrize("repetition", range(20))
def test_at_a_random_moment(
    repetition: int, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, whole: list[dict[str, str]]
) -> None:
    moment = time.monotonic() + random.Random(repetition).uniform(0, 0.9 * seconds_undisturbed(tmp_path_factory))
    process = disturb(tmp_path, KILLS[repetition % 3], lambda parent: time.monotonic() > moment)
    kept = finished(tmp_path)
    undisturbed(tmp_path)
    process.communicate(timeout=60)
    assert_kept(kept)
    assert summary(tmp_path) == whole


@cache
def seconds_undisturbed(tmp_path_factory: pytest.TempPathFactory) -> float:
    began = time.monotonic()
    undisturbed(tmp_path_factory.mktemp("timed"))
    return time.monotonic() - began
