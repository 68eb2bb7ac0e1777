"""Refusals that every data set shares: one line that begins with key=value."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any


def check_choice(key: str, value: Any, allowed: Sequence[str]) -> None:
    """Raises ValueError that names what is allowed and the nearest of it."""
    if value not in allowed:
        near = get_close_matches(str(value), allowed, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"{key}={value}: expected {' or '.join(allowed)}{hint}")


def check_count(key: str, value: Any, least: int, otherwise: str = "") -> None:
    """Raises ValueError unless the value is a whole number from `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{key}={value}: expected a whole number from {least}{otherwise}")


def check_number(key: str, value: Any, least: float, most: float) -> None:
    """Raises ValueError unless the value is a number from `least` to `most` (inf: to any)."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= most or value == float("inf"):
        bounds = f"from {least:g}" if most == float("inf") else f"from {least:g} to {most:g}"
        raise ValueError(f"{key}={value}: expected a number {bounds}")


def check_fact(key: str, value: Any, fact: Any, reason: str) -> None:
    """Raises ValueError if a key that only repeats what is known says something else."""
    if value != fact or isinstance(value, bool):
        raise ValueError(f"{key}={value}: {reason}")
