"""A config from overrides, checked: what Hydra composes, or one line that says what is wrong with it."""

from collections.abc import Sequence
from string import Template

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from dlhw.check import check, drop_foreign_keys, unknown_key
from dlhw.errors import UserError
from dlhw.explain import WHILE_COMPOSING, one_line

OF_ANY_STUDY = ("only", "seeds", "limit")


def composed(overrides: Sequence[str], config_dir: str | None = None) -> DictConfig:
    """The config, with Hydra's own node under `hydra`; inside a `hydra_session`. Raises UserError."""
    try:
        config = compose("config", overrides=list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        settle(config, typed(config))
    except WHILE_COMPOSING as error:
        raise UserError(one_line(error, config_dir)) from error
    return config


def help_template(overrides: Sequence[str], config_dir: str | None = None) -> Template:
    """What --help prints, with the options of all groups; inside a `hydra_session`. Raises UserError."""
    try:
        return Template(compose("config", overrides=list(overrides), return_hydra_config=True).hydra.help.template)
    except WHILE_COMPOSING as error:
        raise UserError(one_line(error, config_dir)) from error


def typed(config: DictConfig) -> list[str]:
    """The overrides as the user typed them; an interpolation among them means something in its own place alone."""
    return OmegaConf.to_container(config.hydra.overrides.task, resolve=False)  # type: ignore[return-value]


def settle(config: DictConfig, overrides: Sequence[str], passed: set[tuple[str, str]] | None = None) -> None:
    """Check a composed config, and resolve the run's name while Hydra's choices are at hand. Raises UserError.

    passed: see `check`.
    """
    settle_study(config)
    drop_foreign_keys(config, overrides)
    check(config, passed)
    config.name = config.name


def settle_study(config: DictConfig) -> None:
    """Drop the keys that wait in config.yaml for a study where none is chosen. Raises UserError for unknown ones."""
    if config.study is None or "tables" in config.study:
        return
    for key in map(str, config.study):
        if key not in OF_ANY_STUDY:
            raise UserError(unknown_key(f"study.{key}", OF_ANY_STUDY))
    config.study = None
