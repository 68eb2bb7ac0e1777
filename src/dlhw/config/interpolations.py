"""What a config's interpolations may not do: read the environment.

A run is what its config says, on any machine; and a config from elsewhere would carry the values of variables, tokens
among them, into outputs/ and into pages that people pass on. `data_dir=$SCRATCH` has the shell write the value instead.
"""

import re
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dlhw.errors import UserError

INNERMOST = re.compile(r"\$?\{[^{}]*\}")
TYPED = ("overrides", "hydra.overrides")  # what was typed, once more
DONE = "\0"  # in place of an interpolation that was read


def check_interpolations(config: DictConfig) -> None:
    """Raises UserError for ${oc.env:…}, and for a resolver whose name is another interpolation's value."""
    for path, text in texts(OmegaConf.to_container(config, resolve=False), ""):
        for resolver in resolvers(text):
            if resolver == "oc.env" or DONE in resolver:
                raise UserError(f"{path}={' '.join(text.split())}: a config cannot read the environment; type the "
                                f"value, as in data_dir=$SCRATCH")  # fmt: skip


def texts(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text with an interpolation in plain data, with its dotted key."""
    if isinstance(node, str) and "${" in node:
        yield path, node
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        if (place := f"{path}.{key}".lstrip(".")) not in TYPED:
            yield from texts(value, place)


def resolvers(text: str) -> Iterator[str]:
    """Names of the resolvers that a text calls, from the inside out."""
    while found := INNERMOST.search(text):
        name, colon, _ = found[0].lstrip("${").partition(":")
        if found[0].startswith("$") and colon:
            yield "".join(name.split())
        text = text[: found.start()] + DONE + text[found.end() :]
