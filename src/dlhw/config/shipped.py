"""The shipped YAML files, the resolvers that they use, and Hydra ready to compose from them."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from operator import mul
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

import dlhw.config.schema  # noqa: F401  config.yaml names it by what it stores
from dlhw.config.yaml_files import check_aliases
from dlhw.errors import UserError
from hydra_plugins.dlhw_optuna import take_its_place

PACKAGE = Path(__file__).parents[1]


def run_name(choices: DictConfig) -> str:
    """The preset's name where one was chosen, else model_dataset; safe as a folder's name."""
    chosen = choices.experiment or f"{choices.model}_{choices.dataset}"
    return str(chosen).replace("/", "_")


def conf_dir() -> Path:
    """The shipped YAML files: inside the package in a wheel, at the repository's top level in a checkout."""
    inside = PACKAGE / "conf"
    return inside if (inside / "config.yaml").is_file() else PACKAGE.parents[1] / "conf"


def shipped_groups() -> list[str]:
    """The config groups, experiment and such included."""
    return sorted(folder.name for folder in conf_dir().iterdir() if folder.is_dir())


def shipped_options(group: str) -> str:
    """The group's options for `--help`: its YAML files, those in folders with their path, parts of options left out."""
    folder = conf_dir() / group
    files = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
    listed = ", ".join(file for file in files if not file.startswith("kind/"))
    return textwrap.fill(listed, 100, subsequent_indent=" " * 14, break_on_hyphens=False)


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
            take_its_place()
            if config_dir is None:
                yield []
            else:
                folder = config_folder(config_dir)
                own = (path for group in (*shipped_groups(), "hydra") for path in (folder / group).rglob("*.yaml"))
                check_aliases([*folder.glob("*.yaml"), *own])
                yield [f"hydra.searchpath=[{folder.as_uri()}]"]
    finally:
        GlobalHydra.instance().hydra = outer
