"""How a run shows that it moves: a bar on a terminal, a line an epoch elsewhere and in the log."""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dlhw.errors import visible

log = logging.getLogger("dlhw")


def follow(rows: Iterator[dict[str, float]], done: int, epochs: int) -> Iterator[dict[str, float]]:
    """Pass the rows on, showing each once the caller has dealt with it (and may have added to it)."""
    from tqdm import tqdm  # 25 ms, that help and errors do not wait for

    terminal = sys.stderr.isatty() and bool(consoles())  # none in a sweep, which has one display for all its runs
    start = time.perf_counter()
    with tqdm(total=epochs, initial=done, unit="epoch", disable=not terminal, dynamic_ncols=True) as bar:
        for row in rows:
            yield row
            epoch = int(row["epoch"])
            bar.set_postfix_str(in_words(row), refresh=False)
            bar.update()
            left = (time.perf_counter() - start) / (epoch - done) * (epochs - epoch)
            tell(row, epochs, left, logging.DEBUG if terminal else logging.INFO)


def tell(row: dict[str, float], epochs: int, seconds_left: float, level: int = logging.INFO) -> None:
    log.log(level, f"epoch {int(row['epoch'])}/{epochs}: {in_words(row)}, {seconds_left:.0f} s left")


def in_words(row: dict[str, float]) -> str:
    figures = [f"{name} {value:.4g}" for name, value in row.items() if "/" in name]
    return ", ".join([*figures, f"{row['samples_per_second']:,.0f} samples/s"])


def log_to_console() -> None:
    """dlhw's own lines to stdout, bare; a run's dlhw.log has them with their times."""
    for log in map(logging.getLogger, ("dlhw", "dlhw_sweep")):
        if not log.handlers:
            handler = Console(sys.stdout)
            handler.setLevel(logging.INFO)
            log.addHandler(handler)
            log.propagate = False  # Hydra's root handlers would print each line again
        log.setLevel(logging.DEBUG)


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing of single runs on the console: their lines go to their own dlhw.log alone."""
    muted, log.propagate = consoles(), False
    silent = logging.NullHandler()
    log.addHandler(silent)
    log.setLevel(logging.DEBUG)
    for handler in muted:
        log.removeHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(silent)
        for handler in muted:
            log.addHandler(handler)


def consoles() -> list["Console"]:
    return [handler for handler in log.handlers if isinstance(handler, Console)]


class Console(logging.StreamHandler):  # type: ignore[type-arg]
    """Lines to stdout. A reader who leaves, as in `dlhw | head`, does not disturb the run."""

    def format(self, record: logging.LogRecord) -> str:
        """A file's or a class's name is anybody's text."""
        return visible(super().format(record))

    def handleError(self, record: logging.LogRecord) -> None:
        if isinstance(sys.exception(), BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        else:
            super().handleError(record)
