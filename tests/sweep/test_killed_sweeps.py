"""SIGKILL of a sweep's parent, of a worker, or of all at once: the same line ends as if nothing had happened."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

RUNS = 6
LINE = (
    str(Path(sys.executable).parent / "dlhw"),
    *("-m", "model=fc", "model.hidden=[8]", "epochs=4", "plots=none", "dataset.train_size=200", "batch_size=20"),
    *("model.dropout=0.2", f"seed=range({RUNS})", "hydra.launcher.n_jobs=2", "name=killed"),
)
TIMINGS = ("seconds", "samples_per_second")


def start(place: Path) -> "subprocess.Popen[str]":
    """A sweep in a process group of its own."""
    place.mkdir(exist_ok=True)
    return subprocess.Popen(
        LINE, cwd=place, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def undisturbed(place: Path) -> str:
    process = start(place)
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


def disturb(place: Path, kill: Callable[[int], None], reached: Callable[[float], bool]) -> None:
    """Start the sweep, kill when it has got where `reached` (given its seconds) wants it, and type the line again."""
    process = start(place)
    began = time.monotonic()
    while process.poll() is None and not reached(time.monotonic() - began):
        time.sleep(0.01)
    if process.poll() is None:  # else it was quicker than the moment
        kill(process.pid)
    if kill is kill_worker:
        process.communicate(timeout=300)  # a sweep whose worker is killed goes on by itself
    kept = finished(place)
    undisturbed(place)
    process.communicate(timeout=60)
    assert {path: path.read_bytes() for path in kept} == kept


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, str]], float]:
    """What an undisturbed sweep leaves, and the seconds that it takes."""
    place = tmp_path_factory.mktemp("undisturbed")
    began = time.monotonic()
    undisturbed(place)
    seconds = time.monotonic() - began
    rows = summary(place)
    assert [row["status"] for row in rows] == ["finished"] * RUNS
    return rows, seconds


@pytest.mark.parametrize("kill", KILLS)
def test_after_the_first_finished_run(kill: Callable[[int], None], tmp_path: Path, whole: tuple[object, float]) -> None:
    disturb(tmp_path, kill, lambda seconds: any(tmp_path.glob("outputs/sweeps/*/*/results.json")))
    assert summary(tmp_path) == whole[0]


@pytest.mark.slow
@pytest.mark.parametrize("repetition", range(20))
def test_at_a_random_moment(repetition: int, tmp_path: Path, whole: tuple[object, float]) -> None:
    moment = random.Random(repetition).uniform(0, 0.9 * whole[1])
    disturb(tmp_path, KILLS[repetition % 3], lambda seconds: seconds > moment)
    assert summary(tmp_path) == whole[0]
