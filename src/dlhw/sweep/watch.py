"""The one display of a sweep: it follows the runs' own files, whatever launcher trains them, here or elsewhere."""

import csv
import logging
import math
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm

from dlhw.files import read_json

log = logging.getLogger("dlhw_sweep")

EVERY = 0.5  # seconds between two looks
ENDED = ("finished", "failed", "interrupted")


class Watch:
    """While the block runs: a bar on a terminal, a line for each run that ends elsewhere."""

    def __init__(self, runs: Sequence[tuple[str, Path]], workers: int) -> None:
        """runs: the name and the folder of each."""
        self.runs = dict(runs) if len(dict(runs)) == len(runs) else {folder.name: folder for _, folder in runs}
        self.workers = workers
        self.before = {name: changed(folder / "status.json") for name, folder in self.runs.items()}
        self.ended: dict[str, str] = {}
        self.best: tuple[float, str, str] | None = None  # value, metric, run
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.follow, daemon=True)

    def __enter__(self) -> "Watch":
        self.start = time.monotonic()
        self.bar = tqdm(
            total=len(self.runs), disable=not sys.stderr.isatty(), dynamic_ncols=True,
            bar_format="{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} runs [{elapsed}{postfix}]",
        )  # fmt: skip
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self.thread.join()
        self.look()
        self.bar.close()

    def follow(self) -> None:
        while not self.over.wait(EVERY):
            self.look()

    def look(self) -> None:
        """Take in what has changed since the last look."""
        running = 0
        for name, folder in self.runs.items():
            if name in self.ended or changed(folder / "status.json") == self.before[name]:
                continue
            status = read_json(folder / "status.json").get("status")
            running += status == "running"
            if status in ENDED:
                self.ended[name] = str(status)
                self.tell(name, folder, str(status))
        if not self.bar.disable:
            failed = sum(status != "finished" for status in self.ended.values())
            self.bar.set_postfix_str(f"{running} running, {failed} failed{self.best_so_far()}{self.left()}")

    def tell(self, name: str, folder: Path, status: str) -> None:
        """One run has ended."""
        results = read_json(folder / "results.json") if status == "finished" else {}
        self.compare(name, results)
        self.bar.update()
        if status == "finished":
            words = ", ".join([*figures(results), f"{results.get('seconds', math.nan):.1f} s of training"])
        else:
            error = str(read_json(folder / "status.json").get("error", ""))
            words = f"{status}: {error.partition(chr(10))[0]}" if error else status
        line = f"[{len(self.ended)}/{len(self.runs)}] {name}: {words}{self.left()}"
        if self.bar.disable:
            log.info(line)
        else:
            self.bar.write(line)

    def compare(self, name: str, results: dict[str, Any]) -> None:
        """Keep the best so far, on the metric that the run itself watched: never one of the test split."""
        metric, _, mode = str(results.get("monitor") or "").partition(" ")
        value = results.get(metric)
        if not isinstance(value, int | float) or math.isnan(value) or metric.startswith("test/"):
            return
        sign = -1 if mode == "(min)" else 1
        if self.best is None or sign * value > sign * self.best[0]:
            self.best = (value, metric, name)

    def best_so_far(self) -> str:
        return "" if self.best is None else f", best {self.best[1]} {self.best[0]:.4g} ({self.best[2]})"

    def left(self) -> str:
        """From the share of all epochs that is done."""
        done = sum(1.0 if name in self.ended else self.progress(name) for name in self.runs)
        rest = len(self.runs) - len(self.ended)
        if not done or not rest:
            return ""
        seconds = (time.monotonic() - self.start) * (len(self.runs) - done) / done
        return f"; about {in_words(seconds)} left"

    def progress(self, name: str) -> float:
        """The share of a run's epochs that it has done in this sitting or before."""
        folder = self.runs[name]
        if changed(folder / "status.json") == self.before[name]:
            return 0.0
        try:
            with (folder / "metrics.csv").open(newline="") as file:
                last = list(csv.DictReader(file))[-1]
            return min(1.0, float(last["epoch"]) / epochs_of(folder))
        except (OSError, IndexError, KeyError, ValueError):
            return 0.0


def epochs_of(folder: Path) -> int:
    """Read from a line of the config: loading YAML twice a second would be too dear."""
    for line in (folder / ".hydra" / "config.yaml").read_text().splitlines():
        if line.startswith("epochs: "):
            return int(line.partition(": ")[2])
    raise ValueError("no epochs")


def figures(results: dict[str, Any]) -> list[str]:
    """The monitored figure and the test split's beside it."""
    metric = str(results.get("monitor") or "").partition(" ")[0]
    tested = [key for key in results if key.startswith("test/")]
    names = [metric, f"test/{metric.partition('/')[2]}"] if metric else tested[:1]
    return [f"{name} {results[name]:.4g}" for name in names if isinstance(results.get(name), float)]


def changed(path: Path) -> int:
    """When a file was last replaced; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def in_words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
