"""The run folder: what a run leaves in outputs/, each file written whole or not at all."""

import csv
import io
import logging
import math
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf

from dlhw.errors import UserError
from dlhw.files import append, read_json, write_atomic, write_json, write_text
from dlhw.passes import Steps

Status = Literal["running", "finished", "failed", "interrupted"]
STEPS_HEADER = "step,epoch,lr,loss\n"
log = logging.getLogger("dlhw")


class Record:
    """One run's folder: its config, log, rows, steps, arrays, results and status."""

    def __init__(self, folder: Path) -> None:
        """Raises UserError where the folder cannot be made or written to."""
        self.folder = folder
        self.rows: list[dict[str, float]] = []
        self._steps: list[str] = []  # lines of steps.csv that are not written yet
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".probe.{os.getpid()}.tmp"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise UserError(f"outputs cannot be written to {folder}: {error.strerror}; stand elsewhere, or set "
                            f"hydra.run.dir") from error  # fmt: skip

    def status(self, status: Status, **details: Any) -> None:
        content = {"status": status, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "pid": os.getpid()}
        write_json(self.folder / "status.json", {**content, "host": socket.gethostname(), **details})

    def config(self, config: DictConfig, session: Any = None) -> None:
        """Save what rebuilds the run: `.hydra/config.yaml`, all interpolations between its keys kept.

        session: HydraConfig's own config, where the run begins; it fills the two other files that Hydra leaves.
        """
        own = self.folder / ".hydra"
        if session is not None:
            write_text(own / "hydra.yaml", OmegaConf.to_yaml(session))
            write_text(own / "overrides.yaml", OmegaConf.to_yaml(session.hydra.overrides.task))
        write_text(own / "config.yaml", OmegaConf.to_yaml(config))

    def steps(self, steps: Steps) -> None:
        """Take in the steps since the last row; they are written with the next one."""
        for index, (epoch, lr, loss) in enumerate(zip(steps.epoch, steps.lr, steps.loss, strict=True)):
            self._steps.append(f"{steps.first + index},{epoch},{lr!r},{loss!r}\n")

    def row(self, row: dict[str, float]) -> None:
        """Append the steps so far to steps.csv; rewrite metrics.csv with one more row."""
        path = self.folder / "steps.csv"
        header = "" if path.exists() else STEPS_HEADER
        append(path, (header + "".join(self._steps)).encode())
        self._steps.clear()

        self.rows.append(row)
        text = io.StringIO()
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.folder / "metrics.csv", text.getvalue())

    def rewind(self, step: float = math.inf) -> None:
        """Read the rows back, up to the row at this step, and take off what was recorded after it."""
        metrics, steps = self.folder / "metrics.csv", self.folder / "steps.csv"
        if metrics.is_file():
            with metrics.open(newline="") as file:
                rows = [{key: number(value) for key, value in row.items()} for row in csv.DictReader(file)]
            self.rows = [row for row in rows if row["step"] <= step]
        if steps.is_file() and step < math.inf:
            lines = steps.read_text().splitlines(keepends=True)[1:]
            kept = [line for line in lines if line.endswith("\n") and int(line.partition(",")[0]) <= step]
            write_text(steps, "".join([STEPS_HEADER, *kept]))

    def arrays(self, arrays: dict[str, np.ndarray]) -> None:
        write_atomic(self.folder / "arrays.npz", lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]

    def results(self, results: dict[str, Any]) -> None:
        write_json(self.folder / "results.json", results)

    @contextmanager
    def locked(self, wait: float = 0) -> Iterator[None]:
        """Hold the folder. Raises UserError where another process trains in it, and still does after `wait` seconds."""
        try:
            held = FileLock(self.folder / ".lock").acquire(timeout=wait)
        except Timeout as error:
            raise UserError(f"{self.folder}: another process is training this run") from error
        with held:
            for part in (".", ".hydra", "checkpoints", "plots"):
                for left_by_a_killed_run in (self.folder / part).glob(".*.tmp"):
                    left_by_a_killed_run.unlink(missing_ok=True)
            yield

    @contextmanager
    def running(self, wait: float = 0, begin: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the folder, log to dlhw.log, and say in status.json how the run ended, whatever ends it.

        begin: writes what a folder needs to be a run's; without that no status.json says that it is one.
        """
        with self.locked(wait), self.logged():
            begin()
            with self.told():
                self.status("running")
                yield
                self.status("finished")

    @contextmanager
    def logged(self) -> Iterator[None]:
        """Log to dlhw.log."""
        with logging_to(self.folder / "dlhw.log"):
            yield

    @contextmanager
    def told(self) -> Iterator[None]:
        """Say in status.json how the run broke off, if it breaks off within."""
        try:
            yield
        except Exception as error:
            log.debug("failed", exc_info=True)
            self.last_status("failed", error=str(error), traceback=traceback.format_exc())
            raise
        except BaseException:  # Ctrl-C, or SIGTERM as SystemExit
            if read_json(self.folder / "status.json").get("status") != "finished":  # it may come just after that
                self.last_status("interrupted")
            raise

    def last_status(self, status: Status, **details: Any) -> None:
        """As far as it can be written: what broke the run off may be a full disk, or a folder that is gone."""
        if self.folder.is_dir():
            with suppress(OSError):
                self.status(status, **details)


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    handler = LogFile(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        with suppress(OSError):
            handler.close()


class LogFile(logging.FileHandler):
    """One that cannot be written to any more, on a full disk say, is not what a run fails of."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)


def number(text: str) -> float:
    """A figure of metrics.csv as it was: epochs and steps are whole numbers, an empty cell is nan."""
    if not text:
        return float("nan")
    value = float(text)
    return int(value) if text.lstrip("-").isdigit() else value
