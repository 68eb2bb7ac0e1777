"""compile=true: forward, loss and their backward as one program, by torch.compile."""

import logging
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor

from dlhw.capture.trial import full_batch, undone
from dlhw.errors import in_a_line
from dlhw.trainer import Forward, Trainer

log = logging.getLogger("dlhw")
TIMED = 7  # steps of each kind

# Dropout draws from torch's own generator, as it does eagerly, so that both give the same losses.
OPTIONS: dict[str, str | int | bool | Callable[..., Any]] = {"fallback_random": True}


def compile_forward(trainer: Trainer) -> None:
    """Give the trainer a compiled forward for its full batches, and say what that cost and when it pays off.

    Measured on an AVX2 CPU at one thread (benchmarks/results): LeNet-5's step gains 3%, fully connected nets nothing,
    as their time goes into matrix products that are no faster for it.
    """
    batch = full_batch(trainer)
    if batch is None:
        log.info("compile=true: there is no full batch to compile for; training goes on without it")
        return
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it misses CUDA where none is wanted
    compiled: Forward = torch.compile(trainer.forward, dynamic=False, options=OPTIONS)
    try:
        with undone(trainer):
            cost = timed(lambda: forward_and_backward(compiled, *batch), trainer.device)
            before = speed(trainer.forward, batch, trainer.device)
            after = speed(compiled, batch, trainer.device)
    except Exception as error:  # a compiler that is missing, a cache that is broken, an operator it does not know
        log.info("compile=true: %s; training goes on without it", in_a_line(error))
        return
    trainer.compiled_forward = compiled
    log.info("compile=true: %s", told(cost, before, after))


def forward_and_backward(forward: Forward, inputs: Tensor, targets: Tensor) -> None:
    forward(inputs, targets)[1].backward()  # type: ignore[no-untyped-call]


def speed(forward: Forward, batch: tuple[Tensor, Tensor], device: torch.device) -> float:
    """Seconds of forward and backward."""
    return median(timed(lambda: forward_and_backward(forward, *batch), device) for _ in range(TIMED))


def timed(work: Callable[[], None], device: torch.device) -> float:
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def told(cost: float, before: float, after: float) -> str:
    """The price of compiling, and the number of steps after which it is paid back."""
    steps = f"forward and backward take {after * 1e3:.3g} ms, {before * 1e3:.3g} without"
    gain = f"pays off after {cost / (before - after):,.0f} steps" if after < before else "no gain here"
    return f"compiled in {cost:.1f} s; {steps}: {gain}"
