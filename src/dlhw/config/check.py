"""The strict check: every key is one that somebody reads, every value one that it can hold.

Hydra refuses a misspelt key only when it is typed without a plus. Here a composed config is compared with the root
schema and with the signature of every `_target_`, whichever way a key came in: command line, `+`, `++`, an experiment
file, a user's own folder.
"""

import inspect
import json
import re
import typing
from collections.abc import Iterable, Mapping
from dataclasses import Field, fields, is_dataclass
from difflib import get_close_matches
from math import inf
from types import NoneType, UnionType
from typing import Any, Literal

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from dlhw.config.interpolations import check_interpolations
from dlhw.config.schema import GROUPS
from dlhw.config.shipped import shipped_groups
from dlhw.config.targets import check_trust, locate, signature_of, targets_in, trusted
from dlhw.errors import UserError, did_you_mean

INSTANTIATE_KEYS = ("_target_", "_args_", "_partial_", "_recursive_", "_convert_")
# Arguments that the run gives, so that YAML cannot.
SUPPLIED = {"optimizer": ("params",), "scheduler": ("optimizer", "epochs", "steps_per_epoch"),
            "backend": ("model", "loss_fn", "optimizer")}  # fmt: skip


def check(config: DictConfig) -> None:
    """Raise UserError at the first key or value that nobody can use."""
    check_own(config)
    check_parts(config)


def check_own(config: DictConfig) -> None:
    """Raise UserError for what can be found without importing anything: all but what the parts' own code says."""
    check_interpolations(config)
    check_keys(config)
    check_values(config)
    check_trust(config.trust)


def check_parts(config: DictConfig, passed: set[tuple[str, str]] | None = None) -> None:
    """Raise UserError for a part that its constructor does not take. Imports the targets, if they may be named.

    passed: groups with the content of parts that have passed before, since the runs of a sweep share most of theirs;
    it is added to.
    """
    for group in (*GROUPS, "backend", *(["logger"] if config.logger is not None else [])):
        content = None if passed is None else resolved(config[group])
        if passed is None or content is None or (group, content) not in passed:
            check_part(config[group], group, SUPPLIED.get(group, ()))
            if passed is not None and content is not None:
                passed.add((group, content))


def resolved(node: Any) -> str | None:
    """A part's content; None where an interpolation in it leads nowhere."""
    try:
        return json.dumps(OmegaConf.to_container(node, resolve=True), default=str)
    except (OmegaConfBaseException, ValueError, AttributeError, RecursionError):
        return None


def check_keys(node: DictConfig, path: str = "") -> None:
    """Compare the keys of a node that a dataclass types, and of such nodes below it, with the dataclass's fields."""
    known = [f.name for f in fields(OmegaConf.get_type(node))]  # type: ignore[arg-type]
    known += ["env"] if path == "hydra." else []  # a config group of Hydra's that its schema leaves out
    for key in map(str, node):
        child = node._get_node(key)
        if path == "" and key == "hydra":
            check_keys(node.hydra, "hydra.")
        elif key not in known:
            raise UserError(unknown_key(f"{path}{key}", known if path else [*known, *root_words()]))
        elif isinstance(child, DictConfig) and is_dataclass(OmegaConf.get_type(child)) and not child._is_none():
            check_keys(child, f"{path}{key}.")


def check_values(node: DictConfig, path: str = "", keys: Iterable[str] | None = None) -> None:
    """Compare the values of our own schema with what its fields allow. keys: these alone."""
    for spec in fields(OmegaConf.get_type(node)):  # type: ignore[arg-type]
        key = f"{path}{spec.name}"
        if keys is not None and spec.name not in keys:
            continue
        if spec.name not in node or OmegaConf.is_missing(node, spec.name):
            raise UserError(f"{key} is missing")
        value = node[spec.name]
        if is_dataclass(spec.type):
            if not isinstance(value, DictConfig):
                raise UserError(f"{key}={shown(value)}: has the keys {', '.join(f.name for f in fields(spec.type))}")
            check_values(value, f"{key}.")
        elif "allowed" in spec.metadata:
            check_allowed(key, value, spec.metadata["allowed"])
        elif "minimum" in spec.metadata:
            check_range(key, value, spec)
        elif "pattern" in spec.metadata and not re.fullmatch(spec.metadata["pattern"], str(value)):
            raise UserError(f"{key}={shown(value)}: {spec.metadata['rule']}")


def drop_foreign_keys(config: DictConfig, overrides: Iterable[str]) -> None:
    """Where the user typed a class of their own, remove the keys of the shipped option that the class does not take.

    Keys that the user typed stay, to be refused by `check` if the class does not take them.
    """
    typed = {override.lstrip("+~").partition("=")[0] for override in overrides}
    for group in GROUPS:
        if f"{group}._target_" not in typed or "_target_" not in (config[group] or ()):
            continue
        takes = signature_of(locate(config[group]._target_, group, config.trust))
        if not any(p.kind is p.VAR_KEYWORD for p in takes.values()):
            with open_dict(config[group]):
                for key in list(config[group]):
                    if key not in takes and key not in INSTANTIATE_KEYS and f"{group}.{key}" not in typed:
                        del config[group][key]


def check_allowed(key: str, value: Any, allowed: Iterable[Any]) -> None:
    if not any(value == option and isinstance(value, bool) == isinstance(option, bool) for option in allowed):
        options = [shown(option) for option in allowed]
        raise UserError(f"{key}={shown(value)}: is one of {', '.join(options)}{did_you_mean(str(value), options)}")


def check_range(key: str, value: Any, spec: Field[Any]) -> None:
    """Compare a value with what `config.at_least` says of its field."""
    least, most, others = spec.metadata["minimum"], spec.metadata["maximum"], spec.metadata["others"]
    if value in others or (value is None and spec.default is None):
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= value <= most or value == inf:
        bounds = f"at least {least}" + (f" and at most {most}" if most < inf else "")
        raise UserError(f"{key}={shown(value)}: must be {' or '.join([bounds, *map(shown, others)])}")


def check_part(node: Any, path: str, supplied: tuple[str, ...] = ()) -> None:
    """Compare a part's keys and value types with its target's signature, and nested parts with theirs."""
    if not isinstance(node, DictConfig):
        raise UserError(f"{path}={shown(node)}: holds a part's keys; choose an option of its group, as in {path}=…")
    if "_target_" not in node:
        wrong = target_like(node)
        raise UserError(unknown_key(f"{path}.{wrong}", ["_target_"]) if wrong else f"{path} has no _target_")
    trust = trusted(node)
    for part, named_there in targets_in(node, path):
        locate(named_there, part, trust)
    target = locate(node._target_, path, trust)
    parameters = {k: p for k, p in signature_of(target).items() if k not in supplied}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for key in map(str, node):
        if key not in parameters and key not in INSTANTIATE_KEYS and not open_ended:
            hint = f" ({node._target_} takes no such key)"
            known = [*named(parameters), *INSTANTIATE_KEYS, "defaults"]
            raise UserError(unknown_key(f"{path}.{key}", known, hint))
    there = set(map(str, node))
    for name, parameter in parameters.items():
        if name not in there:
            if parameter.default is parameter.empty and parameter.kind not in (
                parameter.VAR_KEYWORD,
                parameter.VAR_POSITIONAL,
            ):
                raise UserError(f"{path}.{name} is missing: {node._target_} needs it, as in +{path}.{name}=…")
            continue
        try:
            value = node[name]  # once: an interpolation is parsed each time
        except MissingMandatoryValue:
            raise UserError(f"{path}.{name} is missing: give it, as in {path}.{name}=…") from None
        if value is None and OmegaConf.is_interpolation(node, name):
            continue  # a fact that only the data can tell, such as an image folder's classes
        if isinstance(value, DictConfig) and target_like(value):
            check_part(value, f"{path}.{name}")
        else:
            check_type(f"{path}.{name}", plain(value), parameter.annotation)


def target_like(node: DictConfig) -> str | None:
    """The key that is `_target_`, or was meant to be."""
    return next(iter(get_close_matches("_target_", [str(key) for key in node], n=1)), None)


def named(parameters: Mapping[str, inspect.Parameter]) -> list[str]:
    """The parameters that can be given by name: all but *args and **kwargs."""
    return [name for name, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def root_words() -> list[str]:
    """What may stand at a config's root beside the schema's keys."""
    return ["defaults", "hydra", *shipped_groups()]


def check_type(key: str, value: Any, annotation: Any) -> None:
    """Raise UserError where a plain value cannot be what the annotation says; an annotation not understood passes."""
    if not matches(value, annotation):
        options = literals(annotation)
        allowed = "one of " + ", ".join(options) if options else type_name(annotation)
        raise UserError(f"{key}={shown(value)}: must be {allowed}{did_you_mean(str(value), options)}")


def matches(value: Any, annotation: Any) -> bool:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, UnionType):
        return any(matches(value, arg) for arg in args)
    if origin is Literal:
        return any(value == arg and type(value) is type(arg) for arg in args)
    if origin in (list, tuple) or annotation in (list, tuple):
        items = [arg for arg in args if arg is not Ellipsis]
        if not isinstance(value, list) or (origin is tuple and Ellipsis not in args and len(items) != len(value)):
            return False
        kinds = items if origin is tuple and len(items) == len(value) else items[:1] * len(value)
        return all(matches(item, kind) for item, kind in zip(value, kinds, strict=False))
    if annotation is NoneType or annotation is None:
        return value is None
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation in (bool, str):
        return isinstance(value, annotation)
    if isinstance(annotation, type) and annotation is not inspect.Parameter.empty:
        return isinstance(value, annotation)
    return True


def literals(annotation: Any) -> list[str]:
    """The options of a Literal, wherever it stands in a union."""
    if typing.get_origin(annotation) is Literal:
        return [shown(option) for option in typing.get_args(annotation)]
    return [option for arg in typing.get_args(annotation) for option in literals(arg)]


def type_name(annotation: Any) -> str:
    name = annotation.__name__ if isinstance(annotation, type) and not typing.get_args(annotation) else str(annotation)
    return re.sub(r"\b(torch|typing)\.|\bNoneType\b", lambda m: "null" if m[0] == "NoneType" else "", name).replace(
        "None", "null"
    )


def plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if isinstance(value, DictConfig | ListConfig) else value


def shown(value: Any) -> str:
    """A value as it is written in YAML and on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(plain(value)).replace("'", "")


def unknown_key(path: str, candidates: Iterable[str], hint: str = "") -> str:
    parent, _, key = path.rpartition(".")
    known = [name for name in dict.fromkeys(candidates) if name != key]
    near = get_close_matches(key, known, n=1, cutoff=0.5)
    if near:
        return f"unknown key {path}{hint}; did you mean {parent + '.' if parent else ''}{near[0]}?"
    listed = ", ".join(name for name in known if not name.startswith("_"))
    return f"unknown key {path}{hint}; {f'known here: {listed}' if listed else 'there are no keys there'}"
