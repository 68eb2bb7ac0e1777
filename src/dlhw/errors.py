"""The two ways a command can end badly, each told to the user in one line."""


class UserError(Exception):
    """What the user supplied is wrong: a key, a value, a file, a folder. Found before the first step; exit code 2.

    The message is one line that names the thing, the value that was found, what is allowed, and the nearest match
    or the way to put it right.
    """


class RunFailed(Exception):
    """A run began and could not go on; exit code 1. The message is one line that says when and the likely cause."""


def first_line(error: object) -> str:
    return str(error).strip().split("\n", 1)[0]


def in_a_line(error: BaseException) -> str:
    """Its kind and its first line."""
    return f"{type(error).__name__}: {first_line(error)}"
