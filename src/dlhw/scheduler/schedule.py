"""When the learning rate changes: torch's schedulers, each with the moment at which it is stepped."""

from dataclasses import dataclass
from typing import Any, Literal

from torch.optim import Optimizer, lr_scheduler

Interval = Literal["step", "epoch"]


@dataclass
class Schedule:
    """A torch scheduler (None: a constant rate), stepped after every step or every epoch.

    metric: the column of metrics.csv that a plateau watches. total_epochs: the run's length where the shape depends on
    it, so that a run resumed with more epochs can be refused.
    """

    scheduler: Any = None
    interval: Interval = "epoch"
    metric: str | None = None
    total_epochs: int | None = None

    def after_step(self) -> None:
        if self.scheduler is not None and self.interval == "step":
            self.scheduler.step()

    def after_epoch(self) -> None:
        if self.scheduler is not None and self.interval == "epoch" and self.metric is None:
            self.scheduler.step()

    def after_row(self, row: dict[str, float]) -> None:
        if self.metric is not None:
            self.scheduler.step(row[self.metric])

    def state_dict(self) -> dict[str, Any]:
        return {} if self.scheduler is None else self.scheduler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state)


# Each function below is a `_target_`. The run supplies optimizer and, where asked, epochs and steps_per_epoch.


def none(optimizer: Optimizer) -> Schedule:
    return Schedule()


def step(optimizer: Optimizer, step_size: int, gamma: float = 0.1, interval: Interval = "epoch") -> Schedule:
    """lr times `gamma` every `step_size` intervals. Report 004 steps it every batch: interval="step"."""
    check_positive(step_size=step_size, gamma=gamma)
    return Schedule(lr_scheduler.StepLR(optimizer, step_size, gamma), interval)


def exponential(optimizer: Optimizer, gamma: float, interval: Interval = "epoch") -> Schedule:
    check_positive(gamma=gamma)
    return Schedule(lr_scheduler.ExponentialLR(optimizer, gamma), interval)


def cosine(
    optimizer: Optimizer, epochs: int, steps_per_epoch: int, eta_min: float = 0.0, interval: Interval = "step"
) -> Schedule:
    """From lr to `eta_min` along half a cosine, over the whole run."""
    length = epochs * (steps_per_epoch if interval == "step" else 1)
    return Schedule(lr_scheduler.CosineAnnealingLR(optimizer, length, eta_min), interval, total_epochs=epochs)


def onecycle(
    optimizer: Optimizer,
    epochs: int,
    steps_per_epoch: int,
    max_lr: float,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Up from max_lr / div_factor to `max_lr` and down again over the whole run, momentum the other way."""
    check_positive(max_lr=max_lr, div_factor=div_factor, final_div_factor=final_div_factor)
    scheduler = lr_scheduler.OneCycleLR(
        optimizer,
        max_lr,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        pct_start=pct_start,
        div_factor=div_factor,
        final_div_factor=final_div_factor,
        cycle_momentum=has_momentum(optimizer),
    )
    return Schedule(scheduler, "step", total_epochs=epochs)


def plateau(
    optimizer: Optimizer,
    metric: str = "val/loss",
    mode: Literal["min", "max"] = "min",
    factor: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-4,
    min_lr: float = 0.0,
) -> Schedule:
    """lr times `factor` when `metric`, a column of metrics.csv, has not improved for more than `patience` epochs."""
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, mode, factor, patience, threshold, min_lr=min_lr)
    return Schedule(scheduler, metric=metric)


def has_momentum(optimizer: Optimizer) -> bool:
    """Whether the optimizer has what OneCycleLR cycles against the rate: Adam's first beta, or a momentum in use."""
    return "betas" in optimizer.defaults or bool(optimizer.defaults.get("momentum"))


def check_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name}={value}: must be above 0")
