"""Training steps that are captured once and then repeated: torch.compile's programs and CUDA graphs.

Each is tried before the first step. Where it cannot be had, a line says why and training goes on without it.
"""

import logging

from dlhw.capture.compiled import compile_forward
from dlhw.capture.cuda_graph import capture_step
from dlhw.trainer import Trainer

log = logging.getLogger("dlhw")


def capture(trainer: Trainer, compile: bool, cuda_graph: bool) -> None:
    """Give the trainer what was asked for, if its device and its net allow it."""
    if compile:
        compile_forward(trainer)
    if cuda_graph:
        capture_step(trainer)
