"""A config from overrides, checked: what Hydra composes, or one line that says what is wrong with it."""

import os
import re
from collections.abc import Callable, Sequence
from string import Template

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from dlhw.config.check import check, check_keys, check_values, drop_foreign_keys, shown, unknown_key
from dlhw.config.explain import explained
from dlhw.config.hydra_keys import check_hydra, check_typed
from dlhw.config.shipped import hydra_session, shipped_groups
from dlhw.errors import UserError

OF_ANY_STUDY = ("only", "seeds", "limit")


def composed(overrides: Sequence[str], config_dir: str | None = None, parts: bool = True) -> DictConfig:
    """The config, with Hydra's own node under `hydra`; inside a `hydra_session`. Raises UserError.

    parts: compare the keys of parts with their constructors, which imports torch.
    """
    check_options(overrides)
    with explained(config_dir):
        config = compose("config", overrides=list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        check_hydra(config, overrides)
        if "Optuna" in config.hydra.sweeper._target_:
            raise UserError("hydra/sweeper=optuna: searches in a sweep; add -m")
        settle(config, typed(config), check if parts else check_schema)
    return config


def checked_for_hydra(overrides: Sequence[str], config_dir: str | None, sweep: bool) -> None:
    """Compose what Hydra's own main is about to, and raise UserError for what it must not run."""
    check_options(overrides)
    with explained(config_dir), hydra_session(config_dir) as session:
        words = [*session, *overrides]
        loader = GlobalHydra.instance().config_loader()
        mode = RunMode.MULTIRUN if sweep else RunMode.RUN
        config = loader.load_configuration("config", words, mode)
        HydraConfig.instance().set_config(config)
        check_hydra(config, words)


def help_template(overrides: Sequence[str], config_dir: str | None = None) -> Template:
    """What --help prints, with the options of all groups; inside a `hydra_session`. Raises UserError."""
    with explained(config_dir):
        return Template(compose("config", overrides=list(overrides), return_hydra_config=True).hydra.help.template)


def check_options(overrides: Sequence[str]) -> None:
    """Raises UserError for what Hydra would take for an option's name, and for a variable that is not there.

    Of a list of options Hydra would merge all.
    """
    for word in overrides:
        group, _, option = word.lstrip("+").partition("=")
        if group.partition("@")[0] in shipped_groups():
            if option.startswith("["):
                raise UserError(f"{word}: an option is chosen by its name; to try several: -m {group}={option[1:-1]}")
            if resolver := re.search(r"\$\{[^{}]*:", option):  # in a sweep ${hydra:…} gives whatever is there, or None
                raise UserError(f"{word}: an option is chosen by its name, and {resolver[0]}…}} gives none")
        if group == "hydra.job.env_copy":
            for name in option.strip("[]").split(","):
                if name and name not in os.environ:
                    raise UserError(f"{word}: the environment has no variable {name}")


def typed(config: DictConfig) -> list[str]:
    """The overrides as the user typed them; an interpolation among them means something in its own place alone."""
    return OmegaConf.to_container(config.hydra.overrides.task, resolve=False)  # type: ignore[return-value]


def settle(config: DictConfig, overrides: Sequence[str], checked: Callable[[DictConfig], None] = check) -> None:
    """Check a composed config, and resolve the run's name while Hydra's choices are at hand. Raises UserError."""
    check_typed(config, overrides, "trust")
    settle_study(config)
    drop_foreign_keys(config, overrides)
    checked(config)
    config.name = config.name


def check_schema(config: DictConfig) -> None:
    """Raises UserError."""
    check_keys(config)
    check_values(config)


def settle_study(config: DictConfig) -> None:
    """Drop the keys that wait in config.yaml for a study where none is chosen. Raises UserError for unknown ones."""
    if config.study is None:
        return
    if not isinstance(config.study, DictConfig):
        raise UserError(f"study={shown(config.study)}: holds a study's keys; choose one, as in study=NAME")
    if "tables" in config.study:
        return
    for key in map(str, config.study):
        if key not in OF_ANY_STUDY:
            raise UserError(unknown_key(f"study.{key}", OF_ANY_STUDY))
        if config.study[key] is not None:
            raise UserError(f"study.{key}={shown(config.study[key])}: no study is chosen; add study=NAME")
    config.study = None
