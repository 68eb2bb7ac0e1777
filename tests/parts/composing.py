"""A part as a user gets it: composed from the shipped YAML, checked, and built."""

from typing import Any

from omegaconf import DictConfig

from dlhw.config.build import build
from dlhw.config.compose import composed
from dlhw.config.shipped import hydra_session


def compose_config(*overrides: str) -> DictConfig:
    with hydra_session() as session:
        return composed([*session, *overrides])


def part(group: str, *overrides: str, **facts: Any) -> Any:
    """The group's object, as the overrides describe it."""
    return build(compose_config(*overrides)[group], group, **facts)
