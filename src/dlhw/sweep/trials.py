"""The trials of an optimising sweep, a batch at a time."""

import logging
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from dlhw.errors import RunFailed, first_line
from dlhw.files import read_json, write_json
from dlhw.progress import quiet
from dlhw.sweep.grammar import values_of
from dlhw.sweep.identity import digest
from dlhw.sweep.launch import status_of
from dlhw.sweep.launchers import mark_lost, submit
from dlhw.sweep.plan import Composer

log = logging.getLogger("dlhw_sweep")


class Trials:
    """A launcher between the search and Hydra's: a trial's value is read from its own files, so that none is lost with
    the worker of another. A trial that failed has none, and optuna goes on without it."""

    def __init__(
        self, launcher: Any, folder: Path, metric: str, head: dict[str, Any], composer: Composer, most_failures: float
    ) -> None:
        """head: of sweep.json. most_failures: the share of a batch that may fail. Raises RunFailed where more do."""
        self.launcher, self.folder, self.metric = launcher, folder, metric
        self.head, self.composer, self.most_failures = head, composer, most_failures
        self.runs: list[dict[str, Any]] = []
        self.found: list[tuple[float, dict[str, Any]]] = []  # the value of each that finished, and what it tried
        self.first_error = ""

    @property
    def begun(self) -> int:
        return len(self.runs)

    @property
    def finished(self) -> int:
        return len(self.found)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        folders = [self.folder / str(initial_job_idx + index) for index in range(len(job_overrides))]
        for folder, overrides in zip(folders, job_overrides, strict=True):
            self.note(folder, list(overrides))
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "sweep.json", {**self.head, "runs": self.runs, "study": None})
        self.train(job_overrides, initial_job_idx, folders)
        values = [self.value(folder) for folder in folders]
        own = zip(values, self.runs[-len(values) :], strict=True)
        self.found += [(value, run["values"]) for value, run in own if value is not None]
        if values.count(None) > self.most_failures * len(values):
            raise RunFailed(f"{values.count(None)} of {len(values)} trials failed: {self.first_error}; the study ends "
                            f"there (on_error, hydra.sweeper.max_failure_rate); see {self.folder}")  # fmt: skip
        return [JobReturn(_return_value=value, status=JobStatus.COMPLETED) for value in values]

    def note(self, folder: Path, overrides: list[str]) -> None:
        values = values_of(overrides, self.head["keys"], self.composer.parser)
        log.info("trial %s: %s", folder.name, " ".join(f"{key}={value}" for key, value in values.items()))
        entry = {"folder": folder.name, "hash": digest(overrides), "overrides": overrides, "values": values, "rows": []}
        self.runs.append(entry)

    def train(self, job_overrides: Sequence[Sequence[str]], first: int, folders: Sequence[Path]) -> None:
        with quiet():
            if hasattr(self.launcher, "_EXECUTOR"):  # submitit's
                submit(self.launcher, job_overrides, first, folders, at_once=len(folders))
                return
            try:
                self.launcher.launch(job_overrides, initial_job_idx=first)
            except BrokenProcessPool:
                for folder in folders:
                    mark_lost(folder, "a worker was killed (out of memory?)")

    def value(self, folder: Path) -> float | None:
        """The monitored figure of a trial; None where it did not finish."""
        if status_of(folder) != "finished":
            told = read_json(folder / "status.json")
            self.first_error = self.first_error or first_line(told.get("error") or told.get("status", "not run"))
            return None
        return float(read_json(folder / "results.json")[self.metric])
