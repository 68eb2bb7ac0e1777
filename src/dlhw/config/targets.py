"""Which code a config may name by `_target_`: what dlhw, torch and torchvision have for a group, and modules of the
user's own that the user has typed as `trust`.

A config may come from anywhere. So a name is judged before anything is imported, and what it leads to once more: torch
has names for all that torch itself imports, such as torch.os.system.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from inspect import Parameter, signature
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dlhw.config.schema import Config
from dlhw.config.shipped import conf_dir
from dlhw.errors import UserError, did_you_mean, first_line

NAME = re.compile(r"[^\W\d_]\w*(\.[^\W\d_]\w*)+")  # nothing private, and no dlhw.__main__
MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
DEEPEST = 40  # parts within parts
LIBRARIES = ("torch", "torchvision", "dlhw")
PLACES = {  # where a group's parts are defined
    "dataset": ("dlhw.dataset",),
    "model": ("dlhw.model", "torch.nn", "torchvision.models", "torchvision.ops"),
    "loss": ("dlhw.loss", "torch.nn"),
    "optimizer": ("torch.optim",),
    "scheduler": ("dlhw.scheduler", "torch.optim"),
    "backend": ("dlhw.backend",),
    "logger": ("dlhw.logger",),
}
KINDS = {
    "dataset": "a data set of dlhw",
    "model": "a torch.nn.Module, or one of torchvision.models' functions",
    "loss": "a torch.nn.Module",
    "optimizer": "a torch.optim.Optimizer",
    "scheduler": "a schedule of dlhw, or a torch LRScheduler",
    "backend": "a backend of dlhw",
    "logger": "a logger of dlhw",
}


def locate(target: Any, path: str, trust: Sequence[str] = ()) -> Any:
    """The class or function that a dotted path names, for the part at `path`, as model or dataset.augment.

    trust: the user's own modules, which are searched for in the folder that the user stands in too, as by `python -m`.
    Raises UserError where the part's group takes no such thing, and, with the nearest name, where there is none.
    """
    check_name(target, path, trust)
    if trust and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    found = imported(target, path)
    home = str(getattr(found, "__module__", None) or "")
    own = covered(home, trust) and callable(found)
    if not own and not fits(found, home, group_of(path)):
        raise UserError(refusal(target, path))
    return found


def check_name(target: Any, path: str, trust: Sequence[str]) -> None:
    """Raises UserError for a name that is not even to be imported."""
    shown = f"{path}._target_={target}"
    if not isinstance(target, str) or "." not in target or not MODULE.fullmatch(target):
        raise UserError(f"{shown}: cannot be imported: expected the dotted name of a class, such as torch.nn.Linear")
    if covered(target, trust):
        return
    module = target.partition(".")[0]
    if module in sys.stdlib_module_names:
        raise UserError(f"{shown}: {module} is Python's own; {wanted(group_of(path))}")
    if module not in LIBRARIES:
        near = did_you_mean(module, LIBRARIES, cutoff=0.7)
        raise UserError(f"{shown}: {module} is not trusted; if it is yours, add trust=[{module}]{near}")
    if not NAME.fullmatch(target) or not covered(target, PLACES[group_of(path)]):
        raise UserError(refusal(target, path))


def refusal(target: str, path: str) -> str:
    return f"{path}._target_={target}: {wanted(group_of(path))}"


def wanted(group: str) -> str:
    return f"{group} takes {KINDS[group]} (from {', '.join(PLACES[group])}, or a module that you trust)"


def imported(target: str, path: str) -> Any:
    """Raises UserError with the nearest name where there is none."""
    try:
        return resolve_name(target)
    except Exception as error:
        module, _, name = target.rpartition(".")
        try:
            near = did_you_mean(name, dir(resolve_name(module)))
        except Exception:
            near = ""
        raise UserError(f"{path}._target_={target}: cannot be imported: {first_line(error)}{near}") from error


def fits(found: Any, home: str, group: str) -> bool:
    """Whether it is what the group takes, and its home, the module that defines it, one of dlhw's, torch's, …"""
    if not covered(home, PLACES[group]):
        return False
    if f"{home}.{getattr(found, '__qualname__', '')}" in shipped(group):
        return True
    if group in ("model", "loss"):
        from torch import nn

        return is_a(found, nn.Module) or builds_a_model(found)
    if group == "optimizer":
        from torch.optim import Optimizer

        return is_a(found, Optimizer)
    if group == "scheduler":
        from torch.optim.lr_scheduler import LRScheduler

        return is_a(found, LRScheduler)
    return False


def is_a(found: Any, kind: type) -> bool:
    return isinstance(found, type) and issubclass(found, kind)


def builds_a_model(found: Any) -> bool:
    """Whether it is one of the functions that torchvision itself lists as its models."""
    if not callable(found) or isinstance(found, type) or not covered(found.__module__, ("torchvision.models",)):
        return False
    from torchvision.models import get_model_builder, list_models

    return any(get_model_builder(name) is found for name in list_models())


@cache
def shipped(group: str) -> frozenset[str]:
    """The targets of the group's own options."""
    texts = (path.read_text(encoding="utf-8") for path in (conf_dir() / group).rglob("*.yaml"))
    return frozenset(target for text in texts for target in re.findall(r"^ *_target_: (\S+)$", text, re.MULTILINE))


def covered(name: str, modules: Sequence[str]) -> bool:
    """Whether the name is one of the modules or lies in one of them."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def group_of(path: str) -> str:
    return path.partition(".")[0]


def trusted(node: DictConfig) -> list[str]:
    """The modules that the user trusts, as the config has it of which this node is a part."""
    root: Any = node._get_root()
    return list(root.trust) if OmegaConf.get_type(root) is Config else []


def check_trust(modules: Sequence[str]) -> None:
    """Raises UserError for what is no module of a user's own."""
    for module in modules:
        package = str(module).partition(".")[0]
        if not MODULE.fullmatch(str(module)):
            raise UserError(f"trust={shown_list(modules)}: {module or 'an empty name'} is no module's name")
        if package in LIBRARIES or package in sys.stdlib_module_names:
            raise UserError(f"trust={shown_list(modules)}: is for modules of your own, and {package} is not yours")


def shown_list(modules: Sequence[str]) -> str:
    return f"[{','.join(map(str, modules))}]"


def targets_in(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every `_target_` at or below a node, with its part's path, interpolations followed as far as they lead.

    Raises UserError where one leads to a part that it stands in.
    """
    if path.count(".") > DEEPEST:
        raise UserError(f"{'.'.join(path.split('.')[:4])}…: a part of it is the part itself")
    if isinstance(node, DictConfig | ListConfig) and node._is_none():
        return
    for key in list(node) if isinstance(node, DictConfig | dict) else range(len(node)):
        try:
            value = node[key]
        except OmegaConfBaseException:  # missing, or an interpolation that leads nowhere
            continue
        if key == "_target_":
            yield path, value
        elif isinstance(value, DictConfig | ListConfig | dict | list):  # plain ones come from resolvers
            yield from targets_in(value, f"{path}.{key}")


@cache  # reading one takes longer than all else that is checked of a part
def signature_of(target: Any) -> Mapping[str, Parameter]:
    """The parameters of a class's constructor or of a function, with annotations evaluated where they can be."""
    if getattr(getattr(target, "__init__", None), "__module__", None) == "torch.nn.modules.module":
        return {}  # a class without a constructor of its own: nn.Module's declares *args and **kwargs and takes neither
    try:
        return dict(signature(target, eval_str=True).parameters)
    except Exception:  # an annotation that cannot be evaluated at run time
        return dict(signature(target).parameters)
