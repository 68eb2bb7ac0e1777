"""The losses of single steps, placed among the epochs."""

import numpy as np

from dlhw.plot.decimate import decimate
from dlhw.plot.run_folder import Floats, RunFolder


def step_losses(run: RunFolder) -> tuple[Floats, Floats]:
    """Decimated, with the step told in epochs: the last step of epoch 3 is at 3.

    Empty where single steps would say no more than the epochs do."""
    none = np.empty(0), np.empty(0)
    if not {"step", "loss"} <= run.steps.keys() or not {"step", "epoch"} <= run.metrics.keys():
        return none
    steps, losses = run.steps["step"], run.steps["loss"]
    ends, epochs = run.metrics["step"], run.metrics["epoch"]
    known = np.isfinite(ends) & np.isfinite(epochs)
    if not known.any() or len(steps) < 2 * len(ends):
        return none
    finished = steps <= ends[known].max()
    return decimate(np.interp(steps[finished], [0.0, *ends[known]], [0.0, *epochs[known]]), losses[finished])
