"""A whole training step as one CUDA graph: forward, loss, backward, clipping and optimizer are launched at once.

A small net's kernels take a few microseconds each, less than Python needs to launch them; a replay launches all of them
in one call. Memory and shapes are fixed at the capture, so a batch is copied into the graph's own, and the short last
batch of an epoch goes the eager way.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from dlhw.capture.graph import Graph
from dlhw.capture.trial import full_batch, undone
from dlhw.errors import in_a_line
from dlhw.trainer import Trainer

log = logging.getLogger("dlhw")
TRIED = 2  # steps whose losses have to be the eager ones
TOLERANCE = 1e-2  # relative: other kernels may be chosen, and TF32 or bf16 be in use


def capture_step(trainer: Trainer) -> None:
    """Have full batches trained by a CUDA graph. Where none can be captured, say so, and leave the trainer as it is."""
    if trainer.device.type != "cuda":
        return
    batch = full_batch(trainer)
    reason = "there is no full batch" if batch is None else unfit(trainer)
    if batch is None or reason:
        log.info("cuda_graph: %s; each kernel is launched by itself", reason)
        return
    try:
        step = GraphedStep(trainer, *batch)
        check(step)
    except Exception as error:
        torch.cuda.synchronize(trainer.device)
        log.info("cuda_graph: %s; each kernel is launched by itself", in_a_line(error))
        return
    trainer.graphed_step = step


def unfit(trainer: Trainer) -> str:
    """Why a step of this trainer cannot be captured; empty where nothing is known to forbid it."""
    if trainer.accumulate_steps > 1:
        return "accumulate_steps joins batches"
    if getattr(getattr(trainer.schedule, "scheduler", None), "cycle_momentum", False):
        return "the schedule changes the momentum"
    if any(group.get("dampening") for group in trainer.optimizer.param_groups):
        return "dampening makes the first step unlike the others"
    return ""


class GraphedStep:
    """Called with a full batch, trains one step; returns copies of its raw outputs and its loss."""

    def __init__(self, trainer: Trainer, inputs: Tensor, targets: Tensor) -> None:
        """Raises what `Graph` raises where the step cannot be captured; nothing has been trained then."""
        self.trainer = trainer
        self.batch = inputs.clone(), targets.clone()
        self.groups = trainer.optimizer.param_groups
        self.rates = [torch.tensor(float(group["lr"]), device=trainer.device) for group in self.groups]
        self.held = [float(group["lr"]) for group in self.groups]  # what `rates` hold, without asking the device
        with self.on_the_device():
            self.graph = Graph(self.step, self.batch, undone(trainer))

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        for index, group in enumerate(self.groups):
            if group["lr"] != self.held[index]:
                self.held[index] = group["lr"]
                self.rates[index].fill_(group["lr"])
        outputs, loss = self.graph(inputs, targets)
        return outputs, loss

    def step(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """What is captured. Gradients begin as None, so that the graph writes them and never adds."""
        outputs, loss = self.trainer.forward_of(targets)(inputs, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        self.trainer.update()
        return outputs.detach(), loss.detach()

    @contextmanager
    def on_the_device(self) -> Iterator[None]:
        """The optimizer reads its learning rates from the device, which is what a schedule can change in a graph."""
        for state in self.trainer.optimizer.state.values():
            if "step" in state:  # which optimizers that are not asked to be capturable count on the host
                state["step"] = state["step"].to(self.trainer.device)
        before: list[dict[str, Any]] = [{key: group[key] for key in ("lr", "capturable") if key in group}
                                        for group in self.groups]  # fmt: skip
        for group, rate in zip(self.groups, self.rates, strict=True):
            group["lr"] = rate
            if "capturable" in group:
                group["capturable"] = rate.is_cuda
        try:
            yield
        finally:
            for group, values in zip(self.groups, before, strict=True):
                group |= values


def check(step: GraphedStep) -> None:
    """Raise where the graph's first losses are not those of the same steps taken eagerly. Dropout draws as it likes."""
    trainer = step.trainer
    if any(isinstance(module, torch.nn.modules.dropout._DropoutNd) for module in trainer.model.modules()):
        return
    with undone(trainer):
        eager = [step.step(*step.batch)[1] for _ in range(TRIED)]
    with undone(trainer):
        graphed = [step(*step.batch)[1] for _ in range(TRIED)]
    there, here = torch.stack(eager).tolist(), torch.stack(graphed).tolist()
    if any(abs(a - b) > TOLERANCE * abs(a) for a, b in zip(there, here, strict=True)):
        raise RuntimeError(f"the captured step's losses {here} are not the eager {there}")
