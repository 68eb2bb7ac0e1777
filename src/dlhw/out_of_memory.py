"""A run that memory does not hold, told in one line: what was too large, what is free, and what would fit."""

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from dlhw.errors import OutOfMemory, lacks_memory
from dlhw.memory import free_bytes, let_go
from dlhw.trainer import Trainer

log = logging.getLogger("dlhw")

# Of a trial. The optimizer's state is there from the second step on, and glibc's heap, whose gaps do not fit the blocks
# that follow, grows for tens of them; blocks of 32 MB, as nets have that take long, it does not keep.
STEPS, SECONDS = 50, 1.0
UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50, "EiB": 2**60}


@contextmanager
def telling(what: str, device: torch.device, advice: str) -> Iterator[None]:
    """Raises OutOfMemory where memory does not suffice for what is done within. what: is too large then."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OutOfMemory) or not lacks_memory(error):
            raise
        let_go(error)
        line = f"out of memory on {device}: {what} does not fit: {shortage(error, device)}; {advice}"
        raise OutOfMemory(line) from error


@contextmanager
def telling_of_training(trainer: Trainer) -> Iterator[None]:
    """The same of what a trainer does. Where that fails it is used up: steps with smaller batches are tried on it."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OutOfMemory) or not lacks_memory(error):
            raise
        in_training = trainer.model.training
        let_go(error)
        raise OutOfMemory(told_of_step(trainer, error) if in_training else told_of_rest(trainer, error)) from error


def told_of_step(trainer: Trainer, error: Exception) -> str:
    strip(trainer)
    size = largest_batch_size(trainer)
    where = f"out of memory on {trainer.device} in epoch {trainer.epoch + 1}"
    line = f"{where}: batch_size={trainer.batch_size} does not fit: {shortage(error, trainer.device)}"
    if size:
        return f"{line}; batch_size={size} would fit"
    values = sum(p.numel() for p in trainer.model.parameters())
    return f"{line}; no smaller one would, beside {values:,} parameters and their optimizer's: take a smaller model"


def told_of_rest(trainer: Trainer, error: Exception) -> str:
    """What is not training does not depend on batch_size: the net takes the samples one by one if need be."""
    where = f"out of memory on {trainer.device} after epoch {trainer.epoch}, in evaluation, checkpoint or pictures"
    return f"{where}: {shortage(error, trainer.device)}; take a smaller model or data set, or plots=none"


def shortage(error: Exception, device: torch.device) -> str:
    """What was asked for at last, as far as the error says it, and what is free."""
    found = re.search(r"allocate ([\d.]+) (bytes|[KMGTPE]iB)", str(error))
    asked = f"{in_bytes(float(found[1]) * UNITS[found[2]])} more were asked for" if found else "more was asked for"
    return f"{asked}, {in_bytes(free_bytes(device))} are free"


def in_bytes(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def strip(trainer: Trainer) -> None:
    """Take off what a first step makes anew, and what only a full batch has."""
    trainer.graphed_step = trainer.compiled_forward = trainer.replica = trainer.passes = None
    trainer.optimizer.zero_grad()
    trainer.optimizer.state.clear()  # a part of it may be missing


def largest_batch_size(trainer: Trainer) -> int | None:
    """The largest power of two below batch_size that trains, found by training; None where there is none.

    A quarter more is tried, beside a second set of weights, as a run keeps those of its best epoch.
    """
    log.info("out of memory: looking for a batch_size that fits")
    ranks = trainer.ranks.world_size
    size = 1 << (min(trainer.batch_size, len(trainer.train)) - 1).bit_length() >> 1
    while size >= ranks:
        if trains(trainer, (size + size // 4) // ranks):
            return size
        size //= 2
    return None


def trains(trainer: Trainer, size: int) -> bool:
    """Whether steps with so many samples go through."""
    trainer.model.train()
    try:
        best = [tensor.detach().clone() for tensor in trainer.model.state_dict().values()]
        start = time.perf_counter()
        for step in range(STEPS):
            inputs, targets = next(iter(trainer.train.batches(size)))
            trainer.forward(inputs, targets)[1].backward()  # type: ignore[no-untyped-call]
            trainer.update()
            if step and time.perf_counter() - start > SECONDS:
                break
        del best
    except Exception as error:  # batch norm refuses a batch of one
        let_go(error)
        return False
    finally:
        strip(trainer)
    return True
