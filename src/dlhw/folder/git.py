"""What git says of dlhw's own code and of the user's; nothing where there is no git."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def git_commit() -> str | None:
    """The commit of dlhw's own checkout, marked -dirty where files differ from it; None for an installed wheel."""
    package = Path(__file__).parents[1]
    if not (package.parents[1] / ".git").exists():
        return None
    found = git(package, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    return found and found.strip()


def git_state(files: Sequence[Path]) -> dict[str, Any] | None:
    """Of the checkout that holds the user's own modules: its commit, and whether they differ from it.

    dirty: a tracked file of the checkout differs from the commit, or one of the modules is not in it at all. None where
    there are no modules, no checkout or no git.
    """
    files = [path.resolve() for path in files if "site-packages" not in path.parts]
    told = git(files[0].parent, "status", "--porcelain=v2", "--branch", "--untracked-files=no") if files else None
    if told is None:
        return None
    lines = told.splitlines()
    commit = next(line.split()[-1] for line in lines if line.startswith("# branch.oid "))
    tracked = git(files[0].parent, "ls-files", "--error-unmatch", "--", *map(str, files)) is not None
    changed = any(not line.startswith("#") for line in lines)
    return {"commit": None if commit == "(initial)" else commit, "dirty": changed or not tracked}


def git(folder: Path, *words: str) -> str | None:
    """What a git command prints; None where it fails, and where there is no git."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
