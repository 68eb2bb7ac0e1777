"""Checkpoints: written whole, proven when read. `last` goes on training, `best` holds weights alone.

The last one but one stays, as `previous`, until the run is finished: a damaged `last` costs what was trained since.
"""

import copy
import errno
import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dlhw.errors import UserError, first_line
from dlhw.files import replacing
from dlhw.folder.seal import is_whole, seal
from dlhw.monitor import Monitor
from dlhw.trainer import Trainer

SECONDS = {"s": 1, "min": 60, "h": 3600}
log = logging.getLogger("dlhw")


def save(path: Path, state: dict[str, Any], keep: Path | None = None) -> None:
    """keep: where to put the one that lies there."""
    # By path, not by an open file: torch's writer, calling back into Python, turns a signal into an error of its own.
    with replacing(path, keep) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:  # torch's writer does not say why
            raise reason_not_to_write(temporary) from error
        seal(temporary)


def reason_not_to_write(path: Path) -> OSError:
    """What the system says to more of the same; an input/output error where it has nothing to say now."""
    try:
        with path.open("ab") as file:
            file.write(bytes(2**20))
            os.fsync(file.fileno())
    except OSError as error:
        return error
    return OSError(errno.EIO, os.strerror(errno.EIO))


def load(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint. Raises UserError where it is missing, or not to the last bit what was written."""
    if not path.is_file():
        raise UserError(f"{path} is missing: the run kept no such checkpoint")
    try:
        whole = is_whole(path)
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True) if whole else {}
    except Exception as error:  # torch raises a dozen kinds where a file is damaged
        raise UserError(f"{path} is damaged: {first_line(error) or type(error).__name__}") from error
    if not whole:
        raise UserError(f"{path} is damaged or truncated: its content does not match its sha256")
    return state


class Checkpoints:
    """The best and the last state of a run, in memory and, as the config asks, in files.

    kind: best_last (last.pt, with all that training needs, and best.pt with the best weights), last (last.pt alone),
    none. last.pt has the best weights in it either way, so that going on with a run takes this one file.
    """

    def __init__(self, folder: Path, kind: str, inputs: dict[str, Any]) -> None:
        """inputs: the state of the data set's preprocessing, without which weights cannot judge a new image."""
        self.folder = folder / "checkpoints"
        self.kind = kind
        self.inputs = inputs
        self.best: dict[str, Tensor] | None = None
        self.kept_at = time.monotonic()

    @property
    def last(self) -> Path:
        return self.folder / "last.pt"

    @property
    def previous(self) -> Path:
        return self.folder / "previous.pt"

    def keep(self, trainer: Trainer, monitor: Monitor | None, better: bool) -> None:
        """Take in the state after a row. best.pt comes first: last.pt never names a best that is not there."""
        if better:
            self.best = copy.deepcopy(trainer.model.state_dict())
            self.save_best(trainer.epoch)
        self.save_last(trainer, monitor, better)

    def within_epochs(self, every: Any, trainer: Trainer, monitor: Monitor | None) -> Callable[[], None] | None:
        """What is to be called after each step, to keep the state by steps or by the clock as `checkpoint_every` says.

        None where nothing is kept between rows. Clocks of several processes do not agree: under torchrun there are
        steps alone, at which all take part and the first one writes.
        """
        if every is None or self.kind == "none":
            return None
        number, unit = re.fullmatch(r"(\d+)(\w*)", str(every)).groups()  # type: ignore[union-attr]
        interval = int(number) * SECONDS.get(unit, 1)

        def by_steps() -> None:
            if trainer.steps_done % interval == 0:
                self.save_last(trainer, monitor)

        def by_time() -> None:
            if time.monotonic() - self.kept_at >= interval:
                self.save_last(trainer, monitor)

        if unit:
            return by_time if trainer.ranks.alone else None
        return by_steps

    def save_best(self, epoch: int) -> None:
        if self.kind == "best_last":
            save(self.folder / "best.pt", {"model": self.best, "epoch": epoch, "inputs": self.inputs})

    def save_last(self, trainer: Trainer, monitor: Monitor | None, is_best: bool = False) -> None:
        """is_best: the best weights are those of now, and are not to be written twice."""
        if self.kind == "none":
            return
        state = trainer.state_dict()
        state |= {"inputs": self.inputs, "monitor": monitor and monitor.state_dict()}
        state["best"] = state["model"] if is_best else self.best
        if trainer.ranks.rank == 0:
            save(self.last, state, keep=self.previous)
        self.kept_at = time.monotonic()

    def restore(self, trainer: Trainer, monitor: Monitor | None) -> None:
        """Go back to what was last kept, or to what was kept before that where its file is missing or damaged.

        Raises UserError where both are. A damaged best.pt is written again.
        """
        state = load_last(self.folder.parent, trainer.device)
        trainer.load_state_dict(state)
        self.best = state["best"]
        if monitor is not None:
            monitor.load_state_dict(state["monitor"])
        if self.best is not None and self.kind == "best_last" and trainer.ranks.rank == 0:
            try:
                load(self.folder / "best.pt", trainer.device)
            except UserError as error:
                log.warning("%s; written again from %s", error, self.last.name)
                self.save_best(state["monitor"]["best_epoch"])

    def settle(self) -> None:
        """At the end of a run: its last checkpoint is proven, and the one before it goes."""
        if self.previous.is_file() and is_whole(self.last):
            self.previous.unlink()

    def chosen(self, trainer: Trainer) -> dict[str, Tensor]:
        """The weights to test: the best on the monitored metric, or the last where nothing was monitored."""
        return trainer.model.state_dict() if self.best is None else self.best


def has_checkpoint(run: Path) -> bool:
    """Whether the run in this folder has left a checkpoint to go on from."""
    return any((run / "checkpoints" / name).is_file() for name in ("last.pt", "previous.pt"))


def load_last(run: Path, device: torch.device) -> dict[str, Any]:
    """What training goes on from, taken from the checkpoint before the last where the last is missing or damaged.

    Raises UserError where neither can be used.
    """
    last, previous = run / "checkpoints" / "last.pt", run / "checkpoints" / "previous.pt"
    try:
        return load(last, device)
    except UserError as error:
        if not previous.is_file():
            raise
        state = load(previous, device)
        log.warning("%s; going on from the one before it, %s", error, previous)
        return state


def load_best(run: Path, device: torch.device) -> dict[str, Any]:
    """The best weights under "model", and their epoch; from last.pt where best.pt is damaged, or was not asked for.

    Raises UserError where there are none.
    """
    best = run / "checkpoints" / "best.pt"
    try:
        return load(best, device)
    except UserError as error:
        state = load_last(run, device) if has_checkpoint(run) else {}
        if not state.get("best"):
            raise
        if best.is_file():
            log.warning("%s; last.pt has the best weights too", error)
        return {**state, "model": state["best"], "epoch": state["monitor"]["best_epoch"]}


def stopped_within_epoch(run: Path) -> bool:
    """Whether the run in this folder would go on in the middle of an epoch. Raises UserError as `load_last` does."""
    return has_checkpoint(run) and load_last(run, torch.device("cpu"))["passes"] is not None


def expected_bytes(model: nn.Module, optimizer: torch.optim.Optimizer, kind: str) -> int:
    """About the disk space of a run's checkpoints: best; last, with the best weights and the optimizer's state in it;
    the one before it; and the one that is being written.
    """
    if kind == "none":
        return 0
    weights: int = sum(t.numel() * t.element_size() for t in model.state_dict().values())
    moments = 2 if "betas" in optimizer.defaults else 1
    return weights + 3 * weights * (2 + moments)
