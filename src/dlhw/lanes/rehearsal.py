"""Whether vmap takes a net, its loss and its optimizer: a step of two lanes, tried before any run is begun."""

import warnings

import torch

from dlhw.errors import first_line, lacks_memory
from dlhw.lanes.dropout import Generators
from dlhw.lanes.program import Program
from dlhw.trainer import Trainer


def refusal(trainer: Trainer) -> str:
    """Why runs of this kind cannot be lanes; empty if they can. No run's trainer: it is used up."""
    if trainer.device.type == "mps":
        return "mps has no float64"
    if trainer.optimizer.param_groups[0].get("dampening"):
        return "dampening makes the first step unlike the others"
    try:
        rehearse(trainer)
    except Exception as error:
        if lacks_memory(error):
            return "memory does not hold two lanes"
        return f"vmap does not take {type(trainer.model).__name__} and {type(trainer.loss_fn).__name__}: {told(error)}"
    return ""


def rehearse(trainer: Trainer) -> None:
    """Raises whatever torch raises. A warning counts, by which vmap says that it takes one lane after another."""
    program = Program([trainer] * 2, [Generators(trainer.device).masks] * 2, cuda_graph=False)
    samples = next(iter(trainer.train.batches(min(2, len(trainer.train)))))
    inputs, targets = (torch.stack([tensor] * 2) for tensor in samples)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        program.train_step([(inputs, targets)])
        program.evaluate((inputs, targets))


def told(error: Exception) -> str:
    return first_line(error).partition(". ")[0]
