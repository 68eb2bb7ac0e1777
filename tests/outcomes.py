"""What the tests of the commands share: a run that takes a moment, and how a command's end is read."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TINY = ("model=fc", "model.hidden=[8]", "epochs=1", "plots=none", "dataset.train_size=200", "threads=1", "device=cpu")


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    def refusal(self, code: int = 2) -> str:
        """The one line that stands on stderr."""
        assert self.code == code, self
        assert self.err.endswith("\n"), self
        assert self.err.count("\n") == 1, self
        assert self.err.startswith("dlhw: "), self
        return self.err.removeprefix("dlhw: ").rstrip()


def written(here: Path) -> list[str]:
    """Every file and folder below, as a list that a failing test shows."""
    return sorted(str(path.relative_to(here)) for path in here.rglob("*") if "__pycache__" not in path.parts)


def only(paths: Iterable[Path]) -> Path:
    """The one path that was found."""
    (path,) = paths
    return path
