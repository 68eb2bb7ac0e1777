"""The monitored metric: which epoch is best so far, and whether to stop waiting for a better one."""

import math
from dataclasses import dataclass
from typing import Any

from dlhw.errors import UserError


@dataclass
class Monitor:
    """Follows one column of the rows. It never looks at the test split."""

    metric: str
    mode: str
    patience: int | None = None
    min_delta: float = 0.0
    best: float = math.nan
    best_epoch: int | None = None
    waited: int = 0  # epochs since the last improvement by more than min_delta
    reference: float = math.nan  # the value that early stopping waits to see beaten by min_delta

    def better(self, row: dict[str, float]) -> bool:
        """Take the row in; whether it is the best so far. NaN is never better."""
        value = row[self.metric]
        if self.beats(value, self.reference, self.min_delta):
            self.reference, self.waited = value, 0
        else:
            self.waited += 1
        if not self.beats(value, self.best, 0.0):
            return False
        self.best, self.best_epoch = value, int(row["epoch"])
        return True

    def beats(self, value: float, other: float, by: float) -> bool:
        if math.isnan(value) or math.isnan(other):
            return not math.isnan(value)
        return value < other - by if self.mode == "min" else value > other + by

    @property
    def out_of_patience(self) -> bool:
        return self.patience is not None and self.waited >= self.patience

    def state_dict(self) -> dict[str, Any]:
        return {k: getattr(self, k) for k in ("best", "best_epoch", "waited", "reference")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for key, value in state.items():
            setattr(self, key, value)


def make_monitor(
    metric: str, mode: str, patience: int | None, min_delta: float, metrics: tuple[str, ...], has_val: bool
) -> Monitor | None:
    """A monitor of one of a task's `metrics` on the validation split, or on the training pass; auto: of the second.

    None where there is nothing to choose on: no validation split, and no training column named instead. Raises
    UserError for a column that no row will have, and for early stopping with nothing to watch.
    """
    if metric == "auto":
        metric = f"val/{metrics[1]}"
    split, _, name = metric.partition("/")
    columns = [f"{part}/{m}" for part in ("val", "train") for m in metrics]
    if split == "test":
        raise UserError(
            f"monitor.metric={metric}: the test split is not to choose on; watch one of {', '.join(columns)}"
        )
    if metric not in columns:
        raise UserError(f"monitor.metric={metric}: is one of {', '.join(columns)}")
    if split == "val" and not has_val:
        if patience is not None:
            raise UserError(
                f"early_stopping.patience={patience} watches {metric}, but dataset.val_size=0 leaves no validation "
                f"split; set dataset.val_size or monitor.metric=train/{name}"
            )
        return None
    smaller_is_better = name in ("loss", "mse", "mae")
    chosen = ("min" if smaller_is_better else "max") if mode == "auto" else mode
    return Monitor(metric, chosen, patience, min_delta)
