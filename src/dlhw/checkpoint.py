"""Checkpoints: saved atomically, checked when read. `last` goes on training, `best` holds weights alone."""

import copy
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dlhw.errors import UserError, first_line
from dlhw.files import replacing
from dlhw.monitor import Monitor
from dlhw.trainer import Trainer


def save(path: Path, state: dict[str, Any]) -> None:
    # By path, not by an open file: torch's writer, calling back into Python, turns a signal into an error of its own.
    with replacing(path) as temporary:
        torch.save(state, temporary)


def load(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint; raises UserError where it is missing, truncated, or has a bit flipped.

    torch.load notices the second alone; the zip file that it reads carries a CRC of each tensor, which shows the third.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: the run kept no such checkpoint")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        state: dict[str, Any] = {} if damaged else torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # zipfile and torch raise a dozen kinds where a file is damaged
        raise UserError(f"{path} is damaged or truncated: {first_line(error) or type(error).__name__}") from error
    if damaged:
        raise UserError(f"{path} is damaged: its part {damaged} does not match its checksum")
    return state


class Checkpoints:
    """The best and the last state of a run, in memory and, as the config asks, in files.

    kind: best_last (best.pt, and last.pt with the optimizer), last (last.pt alone, the best weights in it), none.
    """

    def __init__(self, folder: Path, kind: str, inputs: dict[str, Any]) -> None:
        """inputs: the state of the data set's preprocessing, without which weights cannot judge a new image."""
        self.folder = folder / "checkpoints"
        self.kind = kind
        self.inputs = inputs
        self.best: dict[str, Tensor] | None = None

    def keep(self, trainer: Trainer, monitor: Monitor | None, better: bool) -> None:
        """Take in the state after an epoch. best.pt comes first: last.pt never names a best that is not there."""
        if better:
            self.best = copy.deepcopy(trainer.model.state_dict())
            if self.kind == "best_last":
                state = {"model": self.best, "epoch": trainer.epoch, "inputs": self.inputs}
                save(self.folder / "best.pt", state)
        if self.kind != "none":
            state = {**trainer.state_dict(), "inputs": self.inputs, "monitor": monitor and monitor.state_dict()}
            save(self.folder / "last.pt", {**state, "best": self.best if self.kind == "last" else None})

    def exist(self) -> bool:
        return (self.folder / "last.pt").is_file()

    def restore(self, trainer: Trainer, monitor: Monitor | None) -> None:
        """Go back to the last epoch that was kept. Raises UserError where its files are missing or damaged."""
        state = load(self.folder / "last.pt", trainer.device)
        trainer.load_state_dict(state)
        if monitor is not None:
            monitor.load_state_dict(state["monitor"])
            if monitor.best_epoch is not None:
                self.best = state["best"] or load(self.folder / "best.pt", trainer.device)["model"]

    def chosen(self, trainer: Trainer) -> dict[str, Tensor]:
        """The weights to test: the best on the monitored metric, or the last where nothing was monitored."""
        return trainer.model.state_dict() if self.best is None else self.best


def expected_bytes(model: nn.Module, optimizer: torch.optim.Optimizer, kind: str) -> int:
    """About the disk space of a run's checkpoints: best, last with its optimizer state, and the last being replaced."""
    if kind == "none":
        return 0
    weights: int = sum(t.numel() * t.element_size() for t in model.state_dict().values())
    moments = 2 if "betas" in optimizer.defaults else 1
    return weights + 2 * weights * (1 + moments)
