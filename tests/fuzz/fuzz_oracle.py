"""What is wrong with how a command ended."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from fuzz_door import Case, Outcome, TooSlow
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from dlhw.config.shipped import conf_dir, shipped_groups

LONGEST = 1200  # characters of a line
JARGON = re.compile(
    r"Traceback|\b[A-Z]\w*(Error|Exception)\b|full_key|object_type|reference_type|Union\[|Primitive|<class|object at 0|"
    r"\b(Dict|List)Config\b|\b(Any|Integer|Float|String|Boolean|Value|Union)Node\b|NoneType|\bDictKeyType\b|"
    r"site-packages|hydra\._internal|hydra\.cc/|\.py\b|0x[0-9a-f]{6,}|LexerNoViable|mismatched input|no viable|"
    r"extraneous input|token recognition"
)


def complaints(case: Case, outcome: Outcome) -> Iterator[str]:
    """Nothing where the command ended as it should."""
    if outcome.crash is not None:
        kind = "hangs" if isinstance(outcome.crash, TooSlow) else "crashes"
        yield f"{kind}: {type(outcome.crash).__name__}: {outcome.crash}"
    elif outcome.accepted is not None or outcome.code == 0:
        if case.wrong:
            yield "is accepted, though it is wrong"
        for words, config in outcome.accepted or ():
            yield from unreflected(words, config)
        if outcome.accepted is None and outcome.written:
            yield f"ends with 0 and leaves {outcome.written}"
        if outcome.err.strip():
            yield f"is accepted, and says {outcome.err.strip()[:300]!r}"
    elif outcome.code != 2:
        yield f"ends with {outcome.code}"
    else:
        yield from about_the_line(case, outcome)


def about_the_line(case: Case, outcome: Outcome) -> Iterator[str]:
    if outcome.written:
        yield f"is refused and leaves {outcome.written}"
    line = outcome.err.removesuffix("\n")
    if not line.startswith(f"{'dlhw' if case.program == 'dlhw-eval' else case.program}: "):
        yield "does not begin with its program's name"
    if not line.isprintable():
        yield "is not one line of printable characters"
    if len(line) > LONGEST:
        yield f"is {len(line)} characters long"
    if len(line.partition(": ")[2].strip()) < 8:
        yield "says nothing"
    if found := JARGON.search(without_typed(line, case)):
        yield f"speaks of {found[0]}"
    if str(conf_dir()) in line:
        yield "names a path of dlhw's own"


def without_typed(line: str, case: Case) -> str:
    """The line without what the user typed, which may hold any word."""
    for word in sorted(case.words, key=len, reverse=True):
        for part in (word, *word.split("=", 1)):
            if len(part) > 3:
                line = line.replace(part, "")
    return line


def unreflected(words: Sequence[str], config: DictConfig) -> Iterator[str]:
    """Overrides that are accepted and do not show in the config."""
    try:
        parsed = OverridesParser.create().parse_overrides(list(words))
    except Exception:
        return  # how a plan writes its own runs
    for index, override in enumerate(parsed):
        key = override.key_or_group
        others = [other.key_or_group for other in parsed[index + 1 :]]
        if key.partition(".")[0].partition("/")[0] in ("hydra", "experiment", "study") or "@" in key:
            continue
        if any(o == key or o.startswith(f"{key}.") or key.startswith(f"{o}.") for o in others):
            continue  # what comes later counts
        if key in shipped_groups():
            continue  # an option's name is no value; a wrong one is refused by its kind
        if not shows(override, config):
            yield f"accepts {override.input_line!r} and has {OmegaConf.select(config, key)!r}"


def shows(override: Override, config: DictConfig) -> bool:
    key, wanted = override.key_or_group, override.value()
    if override.is_delete():
        return OmegaConf.select(config, key) is None or override.input_line != f"~{key}"
    if "$" in str(override.input_line):
        return True
    found = OmegaConf.select(config, key)
    if not isinstance(wanted, str | int | float | bool | None):
        return found is not None or wanted is None
    return same(found, wanted)


def same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, float) and isinstance(found, float) and math.isnan(wanted):
        return math.isnan(found)
    if isinstance(found, int | float) and isinstance(wanted, str):  # 010, 1_000
        return float(found) == float(wanted)
    return bool(found == wanted) or str(found).lower() == str(wanted).lower()
