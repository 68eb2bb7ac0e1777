"""Every key of every shipped config, misspelt by one letter, is refused in one line, whichever way it comes in.

Nearly always the line names the right key. With one letter wrong, a key is found or it is not; there is no way in
between, so what is counted is the refusals (all) and the right names (at least 95 in 100, in each file and so in all).
"""

from pathlib import Path
from typing import Any

import pytest
import yaml
from misspell import misspelt
from shipped import FILES, chosen_with, header, key_paths, read

from dlhw.check import signature_of
from dlhw.compose import composed
from dlhw.config import hydra_session
from dlhw.errors import UserError

NAMED_AT_LEAST = 0.95


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """{"a": {"b": value}} of the path a.b."""
    return value if not path else {path[0]: nested(path[1:], value)}
