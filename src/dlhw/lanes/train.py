"""Lanes from their last checkpoints to their ends: a row of all of them at a time, and each one's own files."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from dlhw.errors import lacks_memory
from dlhw.lanes.lane import Lane
from dlhw.lanes.loop import Loop
from dlhw.machine import choose_threads, cpu_settings, deterministic
from dlhw.memory import let_go


def train_lanes(folders: Sequence[Path], on_error: str, trust: Sequence[str] = ()) -> list[Path]:
    """Train planned runs that go together to their ends. Where memory does not hold all of them: in two halves.

    Returns the runs that it does not hold as the only lane, whose copies in the stack they can do without. Lanes that
    stand at different epochs, because their sweep was killed, go in groups of one epoch.
    """
    lanes: list[Lane] = []
    unfinished: list[Path] = []
    try:
        for folder in folders:
            lanes.append(Lane(folder, on_error, trust))
        for place in dict.fromkeys(lane.place() for lane in lanes if not lane.ended):
            if not (folders[0].parent / ".stop").exists():
                train_together([lane for lane in lanes if not lane.ended and lane.place() == place])
    except Exception as error:
        if not lacks_memory(error):
            raise
        let_go(error)
        ended = [lane.record.folder for lane in lanes if lane.ended]
        unfinished = [folder for folder in folders if folder not in ended]
    finally:
        for lane in lanes:
            lane.interrupt()
    del lanes
    half = len(unfinished) // 2
    if not half:
        return unfinished
    return [*train_lanes(unfinished[:half], on_error, trust), *train_lanes(unfinished[half:], on_error, trust)]


def train_together(lanes: Sequence[Lane]) -> None:
    """Lanes that stand at one place. One that ends leaves; the others are stacked anew and go on."""
    flops = lanes[0].experiment.flops * lanes[0].trainer.batch_size * len(lanes)
    threads = choose_threads(lanes[0].threads, 3 * flops)
    with cpu_settings(threads), deterministic(lanes[0].config.deterministic):
        for lane in lanes:
            lane.begin(len(lanes), threads)
        while lanes := [lane for lane in lanes if not lane.ended]:
            train_until_one_ends(lanes)


def train_until_one_ends(lanes: Sequence[Lane]) -> None:
    """What breaks all of them, but for a lack of memory, is put down as the failure of each."""
    try:
        generators = [lane.generators.masks for lane in lanes]
        loop = Loop([lane.trainer for lane in lanes], generators, lanes[0].config.cuda_graph is not False)
        while not any(lane.ended for lane in lanes):
            train_row(lanes, loop)
    except Exception as error:
        if lacks_memory(error):
            raise
        for lane in lanes:
            if not lane.ended:
                lane.fail(error)


def train_row(lanes: Sequence[Lane], loop: Loop) -> None:
    """Train and evaluate up to the next row of every lane, and have each put its own down."""
    start, config, epoch = time.perf_counter(), lanes[0].config, lanes[0].trainer.epoch
    passes = loop.train_epochs(min(config.log_every - epoch % config.log_every, config.epochs - epoch))
    seconds = time.perf_counter() - start
    for lane, losses, figures in zip(lanes, passes.losses, passes.figures, strict=True):
        lane.trained(losses, passes.sizes, passes.last_pass, figures)
    nothing: list[dict[str, float]] = [{} for _ in lanes]
    validated = nothing if lanes[0].experiment.splits.val is None else evaluate(lanes, loop, "val")
    tested = evaluate(lanes, loop, "test") if config.test_every_epoch else nothing
    for lane, *row in zip(lanes, validated, tested, strict=True):
        if not lane.ended:
            lane.row(seconds, *row)


def evaluate(lanes: Sequence[Lane], loop: Loop, name: str) -> list[dict[str, float]]:
    with ExitStack() as doors:
        return loop.evaluate([doors.enter_context(lane.experiment.opened(name)) for lane in lanes], name)
