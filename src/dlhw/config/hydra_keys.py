"""Hydra's own node, and what in a config counts only where the user types it.

A config file may come from anywhere, so none can have Hydra run or write what nobody asked for.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dlhw.config.check import check_values
from dlhw.config.interpolations import check_interpolations
from dlhw.config.targets import MODULE, covered, targets_in
from dlhw.errors import UserError

PLUGINS = frozenset({
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
    "hydra.experimental.callbacks.LogJobReturnCallback",
    "hydra_plugins.dlhw_optuna.DlhwOptuna",
    "hydra_plugins.dlhw_sweeper.DlhwSweeper",
    "hydra_plugins.dlhw_vectorized.VectorizedLauncher",
    "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher",
    "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper",
    "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher",
    "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher",
})  # fmt: skip
SAMPLER = re.compile(r"optuna\.samplers\.[A-Z]\w*Sampler")
# What is run, where runs are found, what a process is told: with the values that stand in for nothing typed.
TYPED_ALONE: dict[str, tuple[Any, ...]] = {
    "trust": ([],),
    "hydra.searchpath": ([],),
    "hydra.output_subdir": (".hydra",),
    "hydra.sweep.subdir": ("${hydra.job.num}",),
    "hydra.job.env_set": ({},),
    "hydra.launcher.setup": (None,),
    "hydra.launcher.additional_parameters": ({},),
    "hydra.launcher.submitit_folder": ("${hydra.sweep.dir}/.submitit/%j",),
    "hydra.launcher.temp_folder": (None,),
    "hydra.sweeper.storage": (None,),
}
NODES = tuple(
    f"hydra.{key}"
    for key in ("callbacks", "hydra_logging", "job", "job_logging", "launcher", "run", "sweep", "sweeper")
)
FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")
LOG_FILE = "${hydra.runtime.output_dir}/${hydra.job.name}.log"
LOG_CLASSES = ("logging.StreamHandler", "logging.FileHandler", "logging.NullHandler", "logging.Formatter")
LOG_MAKERS = ("colorlog.ColoredFormatter",)
STREAMS = ("ext://sys.stdout", "ext://sys.stderr")


def check_hydra(config: DictConfig, words: Sequence[str]) -> None:
    """Raises UserError for what Hydra's own node has from elsewhere than the user and dlhw. words: all overrides."""
    told = OmegaConf.to_container(config.hydra.overrides, resolve=False)
    if sorted([*told["hydra"], *told["task"]]) != sorted(words):  # type: ignore[call-overload, index]
        raise UserError("hydra.overrides: stands in a file; overrides count only where they are typed")
    check_interpolations(config.hydra)
    for plugin in ("launcher", "sweeper"):
        if not isinstance(config.hydra[plugin], DictConfig):
            raise UserError(f"hydra.{plugin}={shown(config.hydra[plugin])}: holds a plugin's keys; choose one, as in "
                            f"hydra/{plugin}=…")  # fmt: skip
    if isinstance(config.hydra.verbose, DictConfig | int) and not isinstance(config.hydra.verbose, bool):
        raise UserError(
            f"hydra.verbose={shown(config.hydra.verbose)}: is true, false, a logger's name or a list of names"
        )
    for key in NODES:
        if not isinstance(raw(config, key) or {}, dict):
            raise UserError(f"{key}={shown(raw(config, key))}: has keys of its own, which no interpolation can give")
    for key in TYPED_ALONE:
        check_typed(config, words, key)
    for part, target in targets_in(config.hydra, "hydra"):
        check_plugin(target, part, config.trust)
    for part in ("job_logging", "hydra_logging"):
        check_logging({part: raw(config, f"hydra.{part}")}, "hydra")
    for key in FOLDERS:
        check_folder(config, words, key)
    for key in config.hydra.sweeper.get("params") or ():
        if root(key) == "trust":
            raise UserError(f"hydra.sweeper.params.{key}: trust counts only where it is typed, as trust=[mynets]")


def check_typed(config: DictConfig, words: Sequence[str], key: str) -> None:
    """Raises UserError where the key's value is neither dlhw's own nor what the words say."""
    value = raw(config, key)
    if value is not None and value not in TYPED_ALONE[key] and as_text(value) != as_text(typed_value(words, key)):
        raise UserError(f"{key}={shown(value)}: stands in a file, and counts only where you type it")


def check_plugin(target: Any, path: str, trust: Sequence[str]) -> None:
    if target in PLUGINS or SAMPLER.fullmatch(str(target)):
        return
    if not MODULE.fullmatch(str(target)) or not covered(str(target), trust):
        module = str(target).partition(".")[0]
        raise UserError(f"{path}._target_={target}: is no plugin of Hydra's that dlhw knows; if {module} is yours, add "
                        f"trust=[{module}]")  # fmt: skip


def check_logging(node: Any, path: str) -> None:
    """Hydra's own handlers to the terminal and the run's log, and no class or function else that logging would call."""
    for key, value in pairs(node):
        place = f"{path}.{key}={shown(value)}"
        if key == "()" and value not in LOG_MAKERS:
            raise UserError(f"{place}: is one of {', '.join(LOG_MAKERS)}")
        if key == "class" and value not in (*LOG_CLASSES, *LOG_MAKERS):
            raise UserError(f"{place}: is one of {', '.join(LOG_CLASSES)}")
        if isinstance(value, str) and "://" in value and value not in STREAMS:
            raise UserError(f"{place}: is one of {', '.join(STREAMS)}")
        if isinstance(value, str) and (key == "filename" or "${" in value) and value != LOG_FILE:
            raise UserError(f"{place}: a log's file is {LOG_FILE}")


def check_folder(config: DictConfig, words: Sequence[str], key: str) -> None:
    """A folder that nobody typed lies where the user stands."""
    try:
        check_values(config, keys=("name",))  # which is in it
        folder = Path(str(OmegaConf.select(config, key)))
    except OmegaConfBaseException:
        folder = Path(str(raw(config, key)))
    if (folder.is_absolute() or ".." in folder.parts) and typed_value(words, key) is None:
        raise UserError(f"{key}={folder}: stands in a file, and leads out of the folder that you stand in; type it")


def typed_value(words: Sequence[str], key: str) -> Any:
    """What these overrides, whatever else there is, make of a key; None where they leave it alone."""
    own = [word for word in words if covered(word.lstrip("+~").partition("=")[0], (key,))]
    typed = OmegaConf.create({})
    for override in OverridesParser.create().parse_overrides(own):
        if not override.is_delete():
            OmegaConf.update(typed, override.key_or_group, override.value(), merge=True, force_add=True)
    return raw(typed, key)


def raw(config: DictConfig, key: str) -> Any:
    """A key's value as plain data, interpolations as they are written; None where there is none."""
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    if not isinstance(node, DictConfig) or name not in node._content:  # type: ignore[operator]
        return None
    content: Any = OmegaConf.to_container(node, resolve=False)
    return content[name]


def pairs(node: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value below a node of plain data; of lists the items, under the list's place."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        yield str(key), value
        yield from pairs(value)


def as_text(node: Any) -> Any:
    """The same with every value as text: a key's type may have turned a number into one."""
    if isinstance(node, dict):
        return {str(key): as_text(value) for key, value in node.items()}
    return [as_text(item) for item in node] if isinstance(node, list) else str(node)


def root(key: Any) -> str:
    return str(key).strip().lstrip("+~").partition(".")[0].partition("@")[0]


def shown(value: Any) -> str:
    return " ".join(str(value).replace("'", "").split())[:200]
