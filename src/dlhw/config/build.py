"""The one place where a config node becomes an object."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dlhw.config.targets import locate, trusted
from dlhw.errors import UserError, first_line, lacks_memory


def build(node: DictConfig, group: str, *args: Any, **facts: Any) -> Any:
    """Call the node's `_target_` with its keys, `args` and `facts`, nested parts first.

    Raises UserError for a target that the config may not name, and, with the constructor's own words, where that
    refuses a value.
    """
    trust = trusted(node)
    content = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    try:
        with weights_only():
            return made(content, group, trust, args, facts)
    except UserError:
        raise
    except Exception as error:
        if lacks_memory(error):
            raise
        kind = "" if isinstance(error, ValueError | TypeError) else f"{type(error).__name__}: "
        raise UserError(f"{group} ({node._target_}): {kind}{first_line(error)}") from error


def made(
    content: Any, path: str, trust: list[str], args: tuple[Any, ...] = (), facts: dict[str, Any] | None = None
) -> Any:
    """Plain data with an object in place of each part in it, as Hydra's `instantiate` reads `_target_` and the like.

    Only here is a target called, and none that was not judged just before.
    """
    if isinstance(content, list):
        return [made(item, f"{path}.{index}", trust) for index, item in enumerate(content)]
    if not isinstance(content, dict):
        return content
    deep = content.get("_recursive_", True)
    keys = {key: made(value, f"{path}.{key}", trust) if deep else value for key, value in content.items()}
    if "_target_" not in keys:
        return keys
    target = locate(keys.pop("_target_"), path, trust)
    args = args or tuple(keys.pop("_args_", ()))
    wanted = partial if keys.pop("_partial_", False) else call
    own = {key: value for key, value in keys.items() if key not in ("_args_", "_recursive_", "_convert_")}
    return wanted(target, *args, **own, **(facts or {}))


def call(target: Any, /, *args: Any, **kwargs: Any) -> Any:
    return target(*args, **kwargs)


@contextmanager
def weights_only() -> Iterator[None]:
    """torchvision's functions load the weights that they fetch as pickles unless torch is told otherwise."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
