"""What torchrun has started: which rank this process is, and how it joins the others. Without torchrun it is alone."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dlhw.distributed.ranks import ALONE, Ranks
from dlhw.progress import quiet

if TYPE_CHECKING:
    from dlhw.distributed.lifeline import Lifeline

TIMEOUT = timedelta(hours=2)  # for a rank that the others wait for: the first may be writing, or reading much data


def launched() -> Ranks:
    """As torchrun says in the environment; alone where it did not start this process."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    if not all(name in os.environ for name in (*names, "MASTER_ADDR", "MASTER_PORT")):
        return ALONE
    rank, world_size, local_rank, local_world_size = (int(os.environ[name]) for name in names)
    return Ranks(rank, world_size, local_rank, local_world_size)


@contextmanager
def joined() -> Iterator[Ranks]:
    """The ranks of this run, connected to one another until they leave. All but the first are silent."""
    ranks = launched()
    if ranks.alone:
        yield ALONE
        return
    with quiet() if ranks.rank else nullcontext():
        lifeline = join(ranks)
        try:
            with lifeline.guard():
                yield replace(ranks, lifeline=lifeline)
        except BaseException as error:
            lifeline.leave(error)
            raise
        lifeline.leave()
        ranks.parted()


def join(ranks: Ranks) -> "Lifeline":
    """Wait for all ranks. Until then SIGTERM ends this one at once: there is nothing to mark, and nobody to tell."""
    import torch
    from torch import distributed

    from dlhw.distributed.lifeline import connect
    from dlhw.process import end_with

    def share(*items: Any) -> tuple[Any, ...]:
        held: list[Any] = [items]
        distributed.broadcast_object_list(held)
        shared: tuple[Any, ...] = held[0]
        return shared

    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=TIMEOUT)
    end_with(os.getppid())
    one_machine = ranks.local_world_size == ranks.world_size
    lifeline = connect(ranks.rank, ranks.world_size, one_machine, os.environ["MASTER_ADDR"], share)
    signal.signal(signal.SIGTERM, before)
    return lifeline
