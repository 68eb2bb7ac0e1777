"""The one place where a config node becomes an object."""

from typing import Any

from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig

from dlhw.errors import UserError, first_line


def build(node: DictConfig, group: str, *args: Any, **facts: Any) -> Any:
    """Call the node's `_target_` with its keys, `args` and `facts`.

    Raises UserError with the constructor's own words where it refuses a value.
    """
    try:
        return instantiate(node, *args, _convert_="all", **facts)
    except HydraException as error:
        cause = error.__cause__ or error
        if isinstance(cause, UserError):
            raise cause from error
        kind = "" if isinstance(cause, ValueError | TypeError) else f"{type(cause).__name__}: "
        raise UserError(f"{group} ({node._target_}): {kind}{first_line(cause)}") from error
