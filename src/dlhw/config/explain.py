"""Hydra's and OmegaConf's exceptions, told in one line with the nearest match."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra.conf
import yaml
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dlhw.config.check import SUPPLIED, named, root_words, unknown_key
from dlhw.config.parameters import parameter_names
from dlhw.config.schema import GROUPS, Config
from dlhw.config.shipped import conf_dir
from dlhw.config.targets import locate, signature_of
from dlhw.config.wording import said_of_composing, said_of_override, said_of_value
from dlhw.config.yaml_files import file_of, unreadable
from dlhw.errors import UserError, did_you_mean, first_line, in_a_line

USERS_FAULT = (HydraException, OmegaConfBaseException, yaml.YAMLError)
# Hydra raises bare ones too, as for model=null.
WHILE_COMPOSING = (*USERS_FAULT, ValueError, OSError, RecursionError, ArithmeticError)

# Options of Hydra's groups that plugins bring, by the extra that installs them.
EXTRAS = {
    "hydra/launcher/submitit_local": "slurm",
    "hydra/launcher/submitit_slurm": "slurm",
    "hydra/sweeper/optuna": "tune",
}


@contextmanager
def explained(config_dir: str | None = None) -> Iterator[None]:
    """Turn what is raised while composing into a UserError of one line."""
    try:
        yield
    except WHILE_COMPOSING as error:
        raise UserError(one_line(error, config_dir)) from error


def one_line(error: BaseException, config_dir: str | None = None) -> str:
    """What the user wrote wrong, from an exception of `USERS_FAULT` that composing a config raised."""
    chain = list(causes(error))
    file = re.match(r"In '([^']+)'", first_line(error))
    where = f"in {file[1]}: " if file and file[1] not in ("config", "hydra/config") else ""
    for link in chain:
        if isinstance(link, MissingConfigException) and link.missing_cfg_file:
            return where + missing_option(link.missing_cfg_file, list(link.options or []), config_dir)
    for link in chain:
        if isinstance(link, OverrideParseException):
            return said_of_override(link)
        if isinstance(link, OmegaConfBaseException) and link.full_key is not None:
            return where + wrong_key(link)
    if any("RecursionError" in in_a_line(link) for link in chain):
        return f"{where}a value, an interpolation or a defaults list is nested too deeply, or leads back to itself"
    if isinstance(error, yaml.YAMLError):
        return f"{file_of(error)}: {unreadable(error)}"
    if isinstance(error, UnicodeDecodeError | OSError) and not isinstance(error, HydraException):
        return f"a YAML file{f' in {config_dir}' if config_dir else ''} {unreadable(error)}"
    words = str(error)
    return where + (
        in_a_file(words) or about_an_override(words, config_dir) or said_of_composing(words) or first_lines(chain)
    )


def of_a_file(error: BaseException) -> str:
    """The same of a file that is read without Hydra, which is named beside it."""
    return wrong_key(error) if isinstance(error, OmegaConfBaseException) else unreadable(error)


def causes(error: BaseException | None) -> list[BaseException]:
    """The exception and those that it came from, outermost first."""
    return [] if error is None else [error, *causes(error.__cause__)]


def first_lines(chain: Sequence[BaseException]) -> str:
    """What is left when the mistake is none of those known here: the first lines of the exceptions' own words."""
    lines = [line.strip() for link in chain for line in str(link).splitlines()[:2]]
    return "; ".join(dict.fromkeys(filter(None, lines)))


def missing_option(file: str, offered: list[str], config_dir: str | None) -> str:
    """An option that its group does not have, such as model/fcc. offered: what Hydra found there, folders left out."""
    group, _, option = file.partition("/")
    if group == "hydra":
        group, _, option = file.rpartition("/")
    if file in EXTRAS:
        return f"{group}={option}: is not installed: pip install 'dlhw[{EXTRAS[file]}]'"
    known = options(group, config_dir) or offered
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
        return f"{path if error.full_key else ''}{said_of_value(error)}".lstrip(": =")
    known = [str(key) for key in parent]
    group = path.partition(".")[0]
    if group in GROUPS and parent.get("_target_"):
        target = str(parent._target_)
        takes = [key for key in target_keys(target, group) if key not in SUPPLIED.get(group, ())]
        if str(error.key) in takes:
            return f"{path} is not in the config, but {target} takes it: add it as +{path}=…"
        return unknown_key(path, [*known, *takes], f" ({target} takes no such key)")
    if "/" in path:
        return unknown_key(path, groups(None))
    return unknown_key(path, known if "." in path else [*known, *root_words()])


def in_a_file(message: str) -> str | None:
    """A key or value of a file that the schema refuses; Hydra keeps OmegaConf's words and not its exception."""
    found = re.search(r"raised while composing config:\n(.*)\n\s*full_key: (.*)", message)
    if not found:
        return None
    words, path = found.groups()
    if "not in" not in words:
        return f"{path}{said_of_value(words)}".lstrip(": =")
    parent = path.rpartition(".")[0]
    if path.startswith("hydra."):
        node = OmegaConf.select(OmegaConf.structured(hydra.conf.HydraConf), parent.partition(".")[2] or ".")
    else:
        node = OmegaConf.select(OmegaConf.structured(Config), parent or ".")
    known = [str(key) for key in node] if isinstance(node, DictConfig) else []
    return unknown_key(path, known if parent else [*known, *root_words()])


def about_an_override(message: str, config_dir: str | None) -> str | None:
    """A group that is not there, or an override that is written in the wrong way."""
    absent = "Could not override|No earlier Group Default for"  # as Hydra 1.3 and 1.4 say it
    if m := re.search(rf"(?:{absent}) '/?([^'@]+)(@[^']*)?'", message):
        group = m[1].rpartition("/")[2]
        if m[1].startswith("experiment/") and group in groups(config_dir):
            return f"override {group}: a group's name begins with a slash here, as in 'override /{group}: …'"
        if (m[2] or "").startswith("@experiment."):
            return f"override /{group}: the file's first line must be '# @package _global_'"
        if m[2] is None and m[1] not in groups(config_dir):
            return unknown_key(m[1], groups(config_dir))
    if m := re.search(r"(?:config group|from config\.) '([^']+)'.* does not exist", message):
        return unknown_key(m[1], groups(config_dir))
    if m := re.search(r"Multiple values for (\S+)\. To override a value use 'override \S+: (.+)'", message):
        return f"{m[1]} is chosen twice: {m[1]}={m[2]} needs no +, and in a file 'override /{m[1]}: {m[2]}' replaces it"
    if m := re.search(r"Ambiguous value for argument '([^=]+)=(.*)'", message):
        return f"{m[1]}={m[2]}: several values; add -m to sweep over them, or write {m[1]}=[{m[2]}] for a list"
    if m := re.search(r"Config group override must be a string or a list\. Got (\w+)", message):
        listed = ", ".join(root_groups(config_dir))
        given = "null" if m[1] == "NoneType" else f"a value ({m[1]})"
        return f"an option is chosen by its name, not by {given}, as in model=fc; the groups are {listed}"
    return None


def target_keys(target: str, group: str) -> list[str]:
    """What the target takes; it is imported (torch: 2 s) only where its source does not tell."""
    read = parameter_names(target)
    if read is not None:
        return read
    try:
        return named(signature_of(locate(target, group)))
    except UserError:  # a target that is not to be imported is another line's fault
        return []


def groups(config_dir: str | None) -> list[str]:
    """The groups of ours, of the user's own folder, and of Hydra's."""
    folders = [path.name for path in (Path(hydra.conf.__file__).parent / "hydra").iterdir() if path.is_dir()]
    registered = ConfigStore.instance().repo.get("hydra", {})
    hydras = {*folders, *(name for name, node in registered.items() if isinstance(node, dict))}
    return [*root_groups(config_dir), *sorted(f"hydra/{name}" for name in hydras if not name.startswith("_"))]


def root_groups(config_dir: str | None) -> list[str]:
    return sorted({p.name for root in roots(config_dir) for p in root.iterdir() if p.is_dir()})


def options(group: str, config_dir: str | None) -> list[str]:
    """The options of a group: its YAML files, those in folders below with their path."""
    files = [p.relative_to(root / group) for root in roots(config_dir) for p in (root / group).rglob("*.yaml")]
    return sorted({f.with_suffix("").as_posix() for f in files if f.parts[0] != "kind"})


def roots(config_dir: str | None) -> list[Path]:
    return [conf_dir(), *([Path(config_dir)] if config_dir and Path(config_dir).is_dir() else [])]
