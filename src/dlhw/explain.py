"""Hydra's and OmegaConf's exceptions, told in one line with the nearest match."""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from dlhw.check import did_you_mean, locate, signature_of, unknown_key
from dlhw.config import GROUPS, conf_dir
from dlhw.errors import UserError, first_line

USERS_FAULT = (HydraException, OmegaConfBaseException, yaml.YAMLError)


def one_line(error: BaseException, config_dir: str | None = None) -> str:
    """What the user wrote wrong, from an exception of `USERS_FAULT` that composing a config raised."""
    chain = list(causes(error))
    file = re.match(r"In '([^']+)'", first_line(error))
    where = f"in {file[1]}: " if file and file[1] != "config" else ""
    for link in chain:
        if isinstance(link, MissingConfigException) and link.missing_cfg_file:
            return where + missing_option(link.missing_cfg_file, config_dir)
    for link in chain:
        if isinstance(link, OmegaConfBaseException) and link.full_key is not None:
            return where + wrong_key(link)
    if m := re.match(r".*Could not override '([^'@]+)'", first_line(error)):
        return where + unknown_key(m[1].lstrip("/"), groups(config_dir))
    if isinstance(error, yaml.YAMLError):
        return f"a YAML file cannot be read: {' '.join(str(error).split())}"
    lines = [line.strip() for link in chain for line in str(link).splitlines()[:2]]
    return where + "; ".join(dict.fromkeys(filter(None, lines)))


def causes(error: BaseException | None) -> list[BaseException]:
    """The exception and those that it came from, outermost first."""
    return [] if error is None else [error, *causes(error.__cause__)]


def missing_option(file: str, config_dir: str | None) -> str:
    """An option that its group does not have, such as model/fcc."""
    group, _, option = file.partition("/")
    known = options(group, config_dir)
    if not known:
        return unknown_key(group, groups(config_dir))
    listed = f" ({group} has {', '.join(known)})"
    near = did_you_mean(option, known) or did_you_mean(option, [o.rpartition("/")[2] for o in known])
    return f"{group}={option}: no such option{listed}{near}"


def wrong_key(error: OmegaConfBaseException) -> str:
    """A key that its node does not have, or a value that it cannot hold."""
    path = str(error.full_key)
    parent = error.parent_node
    if "not in" not in first_line(error) or not isinstance(parent, DictConfig):
        return f"{path}: {first_line(error)}"
    known = [str(key) for key in parent]
    if path.partition(".")[0] in GROUPS and parent.get("_target_"):
        takes = target_keys(str(parent._target_))
        if str(error.key) in takes:
            return f"{path} is not in the config, but {parent._target_} takes it: add it as +{path}=…"
        known += [key for key in takes if key not in known]
    return unknown_key(path, [*known, "defaults"] if "." not in path else known)


def target_keys(target: str) -> Sequence[str]:
    try:
        return list(signature_of(locate(target, "")))
    except UserError:  # a target that cannot be imported is another line's fault
        return []


def groups(config_dir: str | None) -> list[str]:
    return sorted({p.name for root in roots(config_dir) for p in root.iterdir() if p.is_dir()} | {"hydra"})


def options(group: str, config_dir: str | None) -> list[str]:
    """The options of a group: its YAML files, those in folders below with their path."""
    files = [p.relative_to(root / group) for root in roots(config_dir) for p in (root / group).rglob("*.yaml")]
    return sorted({f.with_suffix("").as_posix() for f in files if f.parts[0] != "common"})


def roots(config_dir: str | None) -> list[Path]:
    return [conf_dir(), *([Path(config_dir)] if config_dir and Path(config_dir).is_dir() else [])]
