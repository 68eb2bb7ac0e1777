"""Overrides as text: written so that Hydra's grammar reads the same value back, and each key once."""

import re
from collections.abc import Iterable
from typing import Any

OVERRIDE = re.compile(r"(?P<sign>\+{0,2}|~)(?P<key>[\w./@:-]+)(?P<value>=.*)?", re.DOTALL)
PLAIN = re.compile(r"[A-Za-z_][\w./-]*", re.ASCII)  # a text that needs no quotes, unless it is one of these words
OTHER_THAN_TEXT = ("null", "true", "false", "nan", "inf")


def override(key: str, value: Any) -> str:
    return f"{key}={rendered(value)}"


def rendered(value: Any) -> str:
    """A number, text, boolean, null or list in the grammar of overrides."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(rendered, value))}]"
    if isinstance(value, str):
        return value if PLAIN.fullmatch(value) and value.lower() not in OTHER_THAN_TEXT else quoted(value)
    return repr(value)


def quoted(text: str) -> str:
    """In single quotes; a backslash is doubled only where a quote follows it, as the grammar has it."""
    doubled = re.sub(r"(\\+)(?='|$(?!\n))", r"\1\1", text)
    return "'" + doubled.replace("'", r"\'") + "'"


def key_of(override: str) -> str:
    """`optimizer.lr` of `++optimizer.lr=0.1`."""
    match = OVERRIDE.match(override)
    return match["key"] if match else override


def each_once(overrides: Iterable[str]) -> list[str]:
    """The last override of each key: Hydra refuses an option chosen twice. What an earlier one adds stays added."""
    last: dict[str, str] = {}
    for text in overrides:
        before = last.pop(key_of(text), "")
        adds = before.startswith("+") and not text.startswith(("+", "~"))
        last[key_of(text)] = f"++{text}" if adds else text
    return list(last.values())
