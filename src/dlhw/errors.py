"""The two ways a command can end badly, each told to the user in one line."""

import errno
import re
from collections.abc import Iterable
from difflib import get_close_matches

NO_MEMORY = re.compile(  # what torch, and the libraries below it, say in a RuntimeError
    r"OutOfMemoryError|out of memory|can.t allocate memory|Cannot allocate memory|bad_alloc|ALLOC_FAILED"
    r"|could not (create a primitive$|create a memory object|execute a primitive)"  # oneDNN, whatever it lacks
    r"|killed by signal: Killed"  # a process of a DataLoader
)
LONGEST = 1000  # characters of a line that a terminal is shown


class UserError(Exception):
    """What the user supplied is wrong: a key, a value, a file, a folder. Found before the first step; exit code 2.

    The message is one line that names the thing, the value that was found, what is allowed, and the nearest match
    or the way to put it right.
    """


class RunFailed(Exception):
    """A run began and could not go on; exit code 1. The message is one line that says when and the likely cause."""


class OutOfMemory(RunFailed):
    """Memory does not hold what a run needs. The line names what was too large, what is free, and what would fit."""


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that memory does not suffice, on whatever device."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    told = isinstance(error, RuntimeError) and bool(NO_MEMORY.search(in_a_line(error)))
    return told or isinstance(error, MemoryError | OutOfMemory)


def first_line(error: object) -> str:
    return str(error).strip().split("\n", 1)[0]


def printable(line: str) -> str:
    """For a terminal: what is no printable character as an escape, and the middle of a very long line left out."""
    line = line if len(line) <= LONGEST else f"{line[: LONGEST * 2 // 3]} … {line[-LONGEST // 4 :]}"
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)


def visible(text: str) -> str:
    """For a terminal: what would move its cursor, or more, as an escape. Lines stay lines."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else ascii(sign)[1:-1] for sign in text)


def in_a_line(error: BaseException) -> str:
    """Its kind and its first line; of a file, the system's word on it."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return f"{type(error).__name__}: {first_line(error)}"


def did_you_mean(word: str, candidates: Iterable[str], cutoff: float = 0.5) -> str:
    """The end of a line that names the nearest match; nothing where none is near."""
    near = get_close_matches(word, list(candidates), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]}?" if near else ""
