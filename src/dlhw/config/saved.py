"""The config that a run has saved, read again."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from dlhw.config.interpolations import check_interpolations
from dlhw.config.schema import Config
from dlhw.config.yaml_files import check_aliases
from dlhw.errors import UserError


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
