"""The root schema: the keys that every run shares.

The keys of a part (data set, model, loss, optimizer, scheduler) are not here: its constructor defines them.
`check.py` compares a composed config with both.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

GROUPS = ("dataset", "model", "loss", "optimizer", "scheduler")


def one_of(default: Any, *others: Any) -> Any:
    """A field whose value is one of those listed."""
    return field(default=default, metadata={"allowed": (default, *others)})


def at_least(minimum: float, default: Any, *others: Any, at_most: float = math.inf) -> Any:
    """A field whose value is a number from `minimum` to `at_most`, or one of `others`."""
    return field(default=default, metadata={"minimum": minimum, "maximum": at_most, "others": others})


@dataclass
class Monitor:
    metric: str = "auto"
    mode: str = one_of("auto", "min", "max")


@dataclass
class EarlyStopping:
    patience: int | None = at_least(1, None)
    min_delta: float = at_least(0, 0.0)


INTERVAL = r"[1-9]\d*(s|min|h)?|None"
INTERVAL_RULE = "is a number of steps (500), a time (90s, 10min, 2h), or null"
NAME_RULE = "names a folder: letters, digits, _ . + and -, beginning with a letter, a digit or _"


@dataclass
class Config:
    """What conf/config.yaml holds. Types are enforced by OmegaConf, allowed values by `check.check`."""

    dataset: Any = MISSING
    model: Any = MISSING
    loss: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING

    backend: Any = field(default_factory=lambda: {"_target_": "dlhw.backend.torch_backend.torch_backend"})

    name: str = field(default=MISSING, metadata={"pattern": r"\w[\w.+-]*", "rule": NAME_RULE})
    seed: int = at_least(0, 0, at_most=2**32 - 1)
    epochs: int = at_least(1, 20)
    batch_size: int = at_least(1, 100)
    device: str = "auto"
    precision: str = one_of("auto", "fp32", "bf16", "fp64")
    threads: Any = at_least(1, "auto", "auto", at_most=1024)  # far more, and torch crashes
    channels_last: Any = one_of("auto", True, False)
    compile: Any = one_of(False, True)
    cuda_graph: Any = one_of("auto", True, False)
    deterministic: Any = one_of(False, True)
    sync_batchnorm: Any = one_of(False, True)
    data_dir: str = "data"
    monitor: Monitor = field(default_factory=Monitor)
    early_stopping: EarlyStopping = field(default_factory=EarlyStopping)
    clip_grad_norm: float | None = at_least(0, None)
    accumulate_steps: int = at_least(1, 1)
    limit_batches: int | None = at_least(1, None)
    log_every: int = at_least(1, 1)
    loss_below: float | None = None
    test_every_epoch: Any = one_of(False, True)
    plots: str = one_of("all", "basic", "none")
    checkpoints: str = one_of("best_last", "last", "none")
    checkpoint_every: Any = field(default="10min", metadata={"pattern": INTERVAL, "rule": INTERVAL_RULE})
    resume: str | None = None
    trust: list[str] = field(default_factory=list)
    logger: Any = None

    study: Any = None
    seeds: int | None = at_least(1, None)
    on_error: str = one_of("continue", "stop")
    rerun: Any = one_of(False, True)
    dry_run: Any = one_of(False, True)


ConfigStore.instance().store(name="dlhw_schema", node=Config)
