"""The root schema: the keys that every run shares, and how a config is composed from YAML and overrides.

The keys of a part (data set, model, loss, optimizer, scheduler) are not here: its constructor defines them.
`check.py` compares a composed config with both.
"""

import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from operator import mul
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import MISSING, DictConfig, OmegaConf

from dlhw.errors import UserError
from dlhw.interpolations import check_interpolations
from dlhw.yaml_files import check_aliases

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


def run_name(choices: DictConfig) -> str:
    """The preset's name where one was chosen, else model_dataset; safe as a folder's name."""
    chosen = choices.experiment or f"{choices.model}_{choices.dataset}"
    return str(chosen).replace("/", "_")


def conf_dir() -> Path:
    """The shipped YAML files: inside the package in a wheel, at the repository's top level in a checkout."""
    inside = Path(__file__).parent / "conf"
    return inside if (inside / "config.yaml").is_file() else Path(__file__).parents[2] / "conf"


def shipped_groups() -> list[str]:
    """The config groups, experiment and such included."""
    return sorted(folder.name for folder in conf_dir().iterdir() if folder.is_dir())


def shipped_options(group: str) -> str:
    """The group's options for `--help`: its YAML files, those in folders with their path, parts of options left out."""
    folder = conf_dir() / group
    files = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
    listed = ", ".join(file for file in files if not file.startswith("kind/"))
    return textwrap.fill(listed, 100, subsequent_indent=" " * 14, break_on_hyphens=False)


ConfigStore.instance().store(name="dlhw_schema", node=Config)
OmegaConf.register_new_resolver("run_name", run_name, replace=True)
OmegaConf.register_new_resolver("options", shipped_options, replace=True)
OmegaConf.register_new_resolver("len", lambda items: None if items is None else len(items), replace=True)
OmegaConf.register_new_resolver("prod", lambda *sizes: reduce(mul, sizes), replace=True)


def config_folder(config_dir: str) -> Path:
    """The user's own folder of options, as an absolute path. Raises UserError where there is none."""
    folder = Path(config_dir)
    try:
        there = folder.is_dir()
    except OSError:  # a name that is too long, or a folder that is closed
        there = False
    if not there:
        raise UserError(f"--config-dir {config_dir}: is no folder; name one with options, as FOLDER/model/mine.yaml")
    return folder.resolve()


@contextmanager
def hydra_session(config_dir: str | None = None) -> Iterator[list[str]]:
    """Hydra ready to compose from the shipped YAML files; yields the overrides that add the user's own folder.

    A session that is open already (a notebook's, or Hydra's own main) is put back afterwards.
    """
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3", job_name="dlhw"):
            if config_dir is None:
                yield []
            else:
                folder = config_folder(config_dir)
                own = (path for group in (*shipped_groups(), "hydra") for path in (folder / group).rglob("*.yaml"))
                check_aliases([*folder.glob("*.yaml"), *own])
                yield [f"hydra.searchpath=[{folder.as_uri()}]"]
    finally:
        GlobalHydra.instance().hydra = outer


def load_config(folder: Path, trust: Sequence[str] = ()) -> DictConfig:
    """The saved config of a run: `.hydra/config.yaml`, typed by the schema.

    trust: as the user types it now. That the file has some of its own is no reason to trust anything: it may have come
    from anywhere. Raises UserError where it has and nothing is typed, OSError, YAMLError, OmegaConf's.
    """
    check_aliases([folder / ".hydra" / "config.yaml"])
    saved = OmegaConf.load(folder / ".hydra" / "config.yaml")
    if not isinstance(saved, DictConfig):
        raise UserError("holds no mapping of keys to values")
    config: DictConfig = OmegaConf.merge(OmegaConf.structured(Config), saved)  # type: ignore[assignment]
    if untold := [module for module in config.trust if module not in trust]:
        words = f"trust=[{','.join(untold)}]"
        raise UserError(f"{words}: stands in a file, and counts only where you type it: if it is yours, add {words}")
    check_interpolations(saved)
    config.trust = list(trust)
    return config
