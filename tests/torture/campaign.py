"""`make torture`: runs and sweeps killed by SIGKILL at random moments, and the same lines typed again.

However often that happens, no file is broken, and what is left in the end is what an undisturbed run leaves: every
table, array, picture, figure and checkpoint, to the last bit.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from leavings import broken_files, fingerprints

DLHW = (sys.executable, "-m", "dlhw")
ONE_THREAD = ("threads=1", "device=cpu", "batch_size=20")
SMALL = ("dataset.train_size=400", *ONE_THREAD)
FLIPPED = ("dataset.augment.flip=true", "dataset.augment.rotation=15", "dataset.augment.crop_padding=1")
LENET5 = ("model=lenet5", "model.batchnorm=true", "model.dropout=0.3", "dataset.image_size=28", *FLIPPED, *SMALL)
NUMPY = ("model=fc", "model.hidden=[64,64]", "model.dropout=0.3", "backend=numpy", *SMALL)
UNET = (
    *("dataset=denoise", "dataset.image_size=12", *FLIPPED, "model.base_channels=4", "model.depth=2", *ONE_THREAD),
    *("dataset.train_size=100", "dataset.val_size=40", "dataset.test_size=40"),
)
RUNS = {  # seconds between two checkpoints of an epoch are of the clock in some, of steps in others
    "fc": ("model=fc", "model.hidden=[32]", "model.dropout=0.2", *SMALL, "epochs=60", "checkpoint_every=7"),
    "lenet5": (*LENET5, "epochs=8", "checkpoint_every=3"),
    "lenet5_by_the_clock": (*LENET5, "epochs=8", "checkpoint_every=1s", "log_every=3", "scheduler=cosine"),
    "unet": (*UNET, "epochs=8", "checkpoint_every=1", "optimizer=adamw"),
    "numpy_fc": (*NUMPY, "epochs=25", "checkpoint_every=5", "optimizer=sgd", "optimizer.lr=0.1"),
}
SEEDS = ("seed=range(3)", "hydra.launcher.n_jobs=2", "plots=basic")
SWEEPS = {
    "sweep_of_fc": ("-m", "model=fc", "model.hidden=[16],[32]", *SMALL, "epochs=20", "checkpoint_every=7", *SEEDS),
    "sweep_of_lenet5": ("-m", *LENET5, "epochs=5", "checkpoint_every=4", *SEEDS),
    "sweep_of_numpy_fc": ("-m", *NUMPY, "epochs=10", "checkpoint_every=6", *SEEDS),
}
AGAIN = 0.25  # of those that go on are killed once more


@dataclass
class Reference:
    """An undisturbed run: what it leaves, the seconds to its first file, and from there to its end."""

    fingerprints: dict[str, str]
    start_up: float
    seconds: float


@dataclass
class Tally:
    kills: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    problems: list[str] = field(default_factory=list)


def line_of(name: str, place: Path, again: bool) -> tuple[str, ...]:
    """A sweep is gone on with by its own line, and so is a run that has left nothing to go on from."""
    if name in SWEEPS:
        return (*DLHW, *SWEEPS[name], "name=torture")
    if again and (place / "run" / ".hydra" / "config.yaml").is_file():
        return (*DLHW, "resume=run")
    return (*DLHW, *RUNS[name], "hydra.run.dir=run")


def begin(name: str, place: Path, again: bool = False) -> "subprocess.Popen[str]":
    """In a process group of its own."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    return subprocess.Popen(line_of(name, place, again), cwd=place, **pipes)


def begun(name: str, place: Path) -> bool:
    """Whether a process has anything to lose."""
    return any(place.glob("outputs/sweeps/*/*/status.json" if name in SWEEPS else "run/status.json"))


def undisturbed(name: str, place: Path) -> Reference:
    place.mkdir()
    start = time.monotonic()
    process = begin(name, place)
    while process.poll() is None and not begun(name, place):
        time.sleep(0.01)
    first = time.monotonic()
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0, out
    return Reference(fingerprints(place), first - start, time.monotonic() - first)


def killed(name: str, place: Path, again: bool, after: float) -> bool:
    """Begin, or go on, and kill some seconds after there is something to lose; whether the process still lived."""
    process = begin(name, place, again)
    while process.poll() is None and not begun(name, place):
        time.sleep(0.01)
    time.sleep(after)
    lived = process.poll() is None
    if lived:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    return lived


def torment(name: str, place: Path, reference: Reference, rng: random.Random, tally: Tally, lock: Lock) -> None:
    """One killed run, from its beginning to its end."""
    place.mkdir()
    kills, problems = 0, []
    while True:
        again = begun(name, place)  # then there is something to lose from the start, which takes a while
        kills += killed(name, place, again, rng.uniform(0, reference.seconds + again * reference.start_up))
        problems += broken_files(place)
        if rng.random() > AGAIN:
            break
    process = begin(name, place, again=True)
    out, _ = process.communicate(timeout=600)
    if process.returncode != 0:
        problems.append(f"going on ended with {process.returncode}: {out[-2000:]}")
    problems += broken_files(place)
    left = fingerprints(place)
    differing = [key for key in {*left, *reference.fingerprints} if left.get(key) != reference.fingerprints.get(key)]
    problems += [f"differs: {key}" for key in sorted(differing)]
    with lock:
        tally.kills[name] += kills
        tally.resumed += 1
        tally.problems += [f"{place}: {problem}" for problem in problems]


def campaign(kills: int, jobs: int, seed: int, place: Path) -> Tally:
    """At least so many kills, spread over all runs and sweeps; so many processes at a time."""
    names, tally, lock = [*RUNS, *SWEEPS], Tally(), Lock()
    references = {name: undisturbed(name, place / name) for name in names}

    def one(index: int) -> None:
        if tally.kills.total() < kills:
            name = names[index % len(names)]
            torment(name, place / f"{name}-{index}", references[name], random.Random(f"{seed} {index}"), tally, lock)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, range(3 * kills)))
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="torture") as place:
        tally = campaign(asked.kills, asked.jobs, asked.seed, Path(place))
    told = ", ".join(f"{name} {count}" for name, count in sorted(tally.kills.items()))
    print(f"{tally.kills.total()} kills ({told}); {tally.resumed} runs and sweeps gone on with to their end; "
          f"{len(tally.problems)} files broken or different; {time.monotonic() - start:.0f} s")  # fmt: skip
    print(*tally.problems, sep="\n")
    sys.exit(bool(tally.problems))


if __name__ == "__main__":
    main()
