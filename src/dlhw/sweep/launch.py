"""A plan carried out: what is done is skipped, what is missing is trained, and what fails is told at the end."""

import logging
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf

from dlhw.errors import UserError, first_line
from dlhw.files import read_json, write_json, write_text
from dlhw.folder import fingerprint
from dlhw.folder.provenance import noted_data
from dlhw.sweep.plan import Job, Plan
from dlhw.sweep.watch import Watch, in_words

if TYPE_CHECKING:
    from dlhw.sweep.preflight import Expectation  # which imports torch

log = logging.getLogger("dlhw_sweep")


@dataclass
class Options:
    """folder: the sweep's. expect: what runs will take, see preflight.py; None where they train elsewhere."""

    folder: Path
    on_error: str
    rerun: bool
    dry_run: bool
    workers: int
    expect: Callable[[Sequence[DictConfig]], "Expectation"] | None
    lanes: bool = False  # runs train as one program; see lanes/


class Sweep:
    """A plan and its folder."""

    def __init__(self, plan: Plan, options: Options) -> None:
        self.plan = plan
        self.options = options
        self.folder = options.folder
        self.there = {path.name[-8:]: path for path in sorted(self.folder.glob("*-????????")) if path.is_dir()}

    def folder_of(self, job: Job) -> Path:
        """An earlier sweep's name for the same config is kept."""
        return self.there.get(job.hash[:8], self.folder / job.name)

    def status(self, job: Job) -> str:
        """As status.json has it; queued where there is none."""
        return status_of(self.folder_of(job))

    def missing(self) -> list[Job]:
        return [job for job in self.plan.jobs if self.status(job) != "finished"]

    def stale(self) -> list[Job]:
        """Finished runs whose code or data have changed since."""
        of_files = cache(fingerprint.of_files)  # runs share their data, which may be many files
        finished = [job for job in self.plan.jobs if self.status(job) == "finished"]
        return [job for job in finished if is_stale(self.folder_of(job), of_files)]

    def begun_on_other_data(self) -> list[Job]:
        """Unfinished runs that would be refused if they went on."""
        return [job for job in self.missing() if has_other_data(self.folder_of(job))]

    def run(self, launch: Callable[[list[Path]], None]) -> bool:
        """Train what is missing; whether every run of the plan is finished now. `launch` trains the runs of folders."""
        self.announce()
        if self.options.dry_run:
            return True
        with self.held():
            if self.options.rerun:
                self.set_aside([*self.stale(), *self.begun_on_other_data()])
            todo = sorted(self.missing(), key=lambda job: -job.seconds)  # no long one is left for the end
            self.write_down(todo)
            if todo:
                self.train(todo, launch)
        return not self.missing()

    def announce(self) -> None:
        """The pre-flight line: how many runs, how many are done, what the rest will take."""
        plan, missing, stale = self.plan, self.missing(), self.stale()
        equal = plan.asked - len(plan.jobs)
        again = len(stale) if self.options.rerun else 0
        words = [f"{len(plan.jobs)} runs" + (f" ({equal} more have equal configs)" if equal else "")]
        words += [f"{len(plan.jobs) - len(missing) - again} done already", f"{len(missing) + again} to train"]
        todo = [*missing, *(stale if again else [])]
        if todo:
            words.append(self.expected(todo))
        log.info("%s: %s", plan.name, ", ".join(words))
        if stale and not again:
            changed = "were trained with other code or data than today's: rerun=true trains them again"
            log.info("%d of the finished runs %s", len(stale), changed)
        if self.options.dry_run:
            log.info("dry_run=true: nothing is trained; the runs would lie in %s", self.folder)

    def expected(self, todo: Sequence[Job]) -> str:
        """In words; notes each run's seconds, by which the longest are trained first."""
        workers = min(self.options.workers, len(todo))
        if self.options.expect is None:
            return f"at most {workers} at a time"
        expectation = self.options.expect([job.config for job in todo])
        for job, seconds in zip(todo, expectation.seconds, strict=True):
            job.seconds = seconds
        where = "if one after another" if self.options.lanes else f"on {workers} worker{'s' * (workers > 1)}"
        told = f"about {in_words(expectation.in_all(workers))} {where}"
        return f"{told}, {expectation.memory / 1e9:.1f} GB each" if expectation.memory else told

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the sweep's folder; a second process waits, and finds then what the first has done."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock")
            try:
                lock.acquire(blocking=False)
            except Timeout:
                log.info("%s: another process is at work on this sweep; waiting for it", self.folder)
                lock.acquire()
        except OSError as error:
            raise UserError(
                f"cannot write to {error.filename}: {error.strerror}; stand in another folder, or set hydra.sweep.dir"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def write_down(self, todo: Sequence[Job]) -> None:
        """The list of runs, and the config of each that is to be trained: what it trains by from here on."""
        for job in todo:
            folder = self.folder_of(job)
            if not (folder / ".hydra" / "config.yaml").is_file():
                folder.mkdir(exist_ok=True)
                write_text(folder / ".hydra" / "overrides.yaml", yaml.safe_dump(job.planned.overrides))
                write_text(folder / ".hydra" / "config.yaml", OmegaConf.to_yaml(job.config))
        (self.folder / ".stop").unlink(missing_ok=True)
        plan, earlier = self.plan, self.earlier()
        runs = [
            {
                "folder": self.folder_of(job).name,
                "hash": job.hash,
                "overrides": job.planned.overrides,
                "values": job.planned.values,
                "rows": united([list(row) for row in job.planned.rows], earlier.pop(job.hash, {}).get("rows", [])),
            }
            for job in plan.jobs
        ]
        runs += earlier.values()
        study = plan.study and {**plan.study, "seeds": None, "only": self.tables_of(runs)}
        words = [word for word in sys.argv[1:] if word != "--multirun" or plan.kind == "sweep"]
        command = shlex.join([Path(sys.argv[0]).name, *words])
        head = {"kind": plan.kind, "name": plan.name, "command": command, "keys": plan.keys}
        write_json(self.folder / "sweep.json", {**head, "runs": runs, "study": study})

    def tables_of(self, runs: Sequence[dict[str, Any]]) -> list[str] | None:
        """The tables of the study that some run stands in; None where these are all."""
        assert self.plan.study is not None
        found = {table for run in runs for table, _ in run["rows"]}
        return None if found == set(self.plan.study["tables"]) else [t for t in self.plan.study["tables"] if t in found]

    def earlier(self) -> dict[str, dict[str, Any]]:
        """By hash, what a study's earlier sittings ran, perhaps of other tables, as far as the study still has them."""
        if self.plan.study is None:
            return {}
        tables = self.plan.study["tables"]
        before = read_json(self.folder / "sweep.json").get("runs", [])
        return {run["hash"]: run for run in before if all(table in tables for table, _ in run["rows"])}

    def train(self, todo: list[Job], launch: Callable[[list[Path]], None]) -> None:
        """Hand the runs to the launcher, while the display follows their files."""
        with Watch([(job.name.rpartition("-")[0], self.folder_of(job)) for job in todo], self.options.workers):
            launch([self.folder_of(job) for job in todo])
        for job in todo:
            if self.status(job) == "running":  # its process is gone without a word
                write_json(self.folder_of(job) / "status.json", {"status": "interrupted", "error": "killed"})

    def set_aside(self, jobs: Sequence[Job]) -> None:
        """Move finished runs out of the way: nothing is overwritten."""
        for job in jobs:
            folder = self.folder_of(job)
            replaced = self.folder / ".replaced"
            replaced.mkdir(exist_ok=True)
            folder.rename(next(path for n in count(1) if not (path := replaced / f"{folder.name}-{n}").exists()))

    def failures(self) -> list[str]:
        """A line for each run that is not finished: its name and what went wrong."""
        lines = []
        for job in self.missing():
            told = read_json(self.folder_of(job) / "status.json")
            lines.append(
                f"{self.folder_of(job).name}: {first_line(told.get('error') or told.get('status', 'not run'))}"
            )
        return lines


def united(rows: list[list[str]], others: list[list[str]]) -> list[list[str]]:
    return rows + [row for row in others if row not in rows]


def status_of(folder: Path) -> str:
    status = str(read_json(folder / "status.json").get("status", "queued"))
    return status if status != "finished" or (folder / "results.json").is_file() else "interrupted"


def is_stale(folder: Path, of_files: Callable[[Path], str]) -> bool:
    """Whether a finished run's code or data are others today. Where it recorded none, nothing is known to differ."""
    results = read_json(folder / "results.json")
    targets, data = results.get("targets", []), results.get("data") or {}
    if "code" in results and results["code"] != fingerprint.of_code(targets):
        return True
    return bool(data) and data["files"] != of_files(Path(data["folder"]))


def has_other_data(folder: Path) -> bool:
    """Whether an unfinished run began with other data than today's."""
    noted = noted_data(folder)
    return noted is not None and noted[1] != fingerprint.contents(noted[0])
