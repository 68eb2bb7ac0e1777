"""What a sweep will take, from a few steps of its runs: seconds and memory, before it begins."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from omegaconf import DictConfig

from dlhw.config.build import build
from dlhw.config.check import plain
from dlhw.errors import OutOfMemory, RunFailed, lacks_memory
from dlhw.machine import cpu_settings
from dlhw.prepare import build_model, prepare
from dlhw.summary import summarize
from dlhw.sweep.identity import but_for, digest

MEASURED = 3  # kinds of runs that are tried, the commonest; the others are reckoned from their FLOPs
ENOUGH = 0.3  # seconds of steps


@dataclass
class Expectation:
    """seconds: of each run, at one thread. memory: bytes of one run's process, 0 where unknown."""

    seconds: list[float]
    memory: int

    def in_all(self, workers: int) -> float:
        """Seconds until the last of the runs ends, so many at a time."""
        return max(sum(self.seconds) / min(workers, len(self.seconds)), *self.seconds)


def expect(configs: Sequence[DictConfig]) -> Expectation:
    """Runs of one model, data set and batch size cost the same, an epoch.

    Raises UserError where a run that is tried cannot be prepared.
    """
    kinds = [kind(config) for config in configs]
    first = dict(zip(reversed(kinds), reversed(configs), strict=True))
    common = [name for name, _ in Counter(kinds).most_common(MEASURED)]
    epoch = {name: seconds_per_epoch(first[name]) for name in common}
    if len(first) > len(common):
        flops = {name: flops_per_epoch(config) for name, config in first.items()}
        per_flop = median(epoch[name] / max(flops[name], 1) for name in common)
        epoch = {name: per_flop * flops[name] for name in first} | epoch
    return Expectation([epoch[name] * c.epochs for name, c in zip(kinds, configs, strict=True)], peak_memory())


def kind(config: DictConfig) -> str:
    with but_for(config, seed=0):
        parts = [plain(config[key]) for key in ("model", "dataset")]
    return digest([parts, config.batch_size, config.precision, config.limit_batches])


def seconds_per_epoch(config: DictConfig) -> float:
    """Of training and validating, at one thread unless threads are typed."""
    config = config.copy()
    config.plots = "none"
    if config.threads == "auto":
        config.threads = 1
    try:
        experiment = prepare(config)
    except OutOfMemory:
        return 0.0
    trainer = experiment.trainer
    batches = -(-len(trainer.train) // trainer.batch_size)
    steps = min(batches, config.limit_batches or batches)
    with cpu_settings(experiment.threads):
        trainer.limit_batches = 1
        timed(lambda: trainer.train_epochs(1))  # the first step sets up
        trainer.limit_batches = taken = min(steps, 2)
        spent = timed(lambda: trainer.train_epochs(1))
        if taken < steps and spent < ENOUGH:
            trainer.limit_batches = taken = max(2, min(steps, int(taken * ENOUGH / max(spent, 1e-4))))
            spent = timed(lambda: trainer.train_epochs(1))
    val = 0 if trainer.val is None else len(trainer.val)
    samples = len(trainer.train) * steps / batches + val / 3  # a forward pass alone costs a third
    return spent / (taken * trainer.batch_size) * samples


def timed(work: Callable[[], Any]) -> float:
    """Seconds of the work; a loss that is not finite is the run's own affair, and so is a lack of memory."""
    start = time.perf_counter()
    try:
        work()
    except Exception as error:
        if not isinstance(error, RunFailed) and not lacks_memory(error):
            raise
    return time.perf_counter() - start


def flops_per_epoch(config: DictConfig) -> float:
    """Up to a factor that the runs of a sweep share: of one sample's forward pass, times the samples if they are told.

    A model that cannot be built counts nothing here; its own run will say why.
    """
    with suppress(Exception):
        dataset = build(config.dataset, "dataset")
        layers = summarize(build_model(config), torch.zeros(1, *dataset.input_shape))
        told = config.dataset.get("train_size")
        return float(sum(layer.flops for layer in layers)) * (told if isinstance(told, int) else 60_000)
    return 0.0


def peak_memory() -> int:
    """Bytes that this process, which has prepared the runs as a worker will, has needed at most; 0 where unknown."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    on_cuda: int = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return max(peak * (1 if sys.platform == "darwin" else 1024), on_cuda)
