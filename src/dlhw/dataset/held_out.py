"""The test split, out of reach while a run chooses: it is read through one door, and the door counts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from torch import Tensor

from dlhw.dataset.batches import Split, Splits


class HeldOutError(Exception):
    """The test split was read outside an evaluation: a mistake in dlhw, or in a part of the user's own."""


class HeldOut:
    """A split that says how long it is, and gives neither inputs nor targets but to whoever opens it."""

    def __init__(self, split: Split) -> None:
        self._split = split
        self.evaluations = 0  # of a whole run, those before it was resumed included

    def __len__(self) -> int:
        return len(self._split)

    @contextmanager
    def opened(self) -> Iterator[Split]:
        """The split itself, for one evaluation."""
        self.evaluations += 1
        yield self._split

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # what copy and pickle ask for
            raise AttributeError(name)
        raise HeldOutError(f"a bug: the test split was read ({name}) outside of its evaluation, where it could choose")


def hold_out(splits: Splits) -> HeldOut:
    """Put the test split out of reach, for whoever has the splits; the door to it comes back."""
    held_out: Any = HeldOut(splits.test)
    splits.test = held_out
    return held_out  # type: ignore[no-any-return]


def tensor_bytes(split: Split) -> int:
    """Of the tensors that a split holds, held out or not."""
    inner = split._split if isinstance(split, HeldOut) else split
    return sum(value.numel() * value.element_size() for value in vars(inner).values() if isinstance(value, Tensor))
