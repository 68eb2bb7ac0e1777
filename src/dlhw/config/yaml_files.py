"""YAML of the user's own, judged before it is unfolded, and what is wrong with a file that cannot be read."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import yaml

from dlhw.errors import UserError, first_line

MOST_VALUES = 100_000  # in one file, aliases unfolded: nine lines of aliases to aliases are a billion

PROBLEMS = {
    "expected '<document start>'": "wrong indentation",
    "expected <block end>": "wrong indentation, or a sign before it that begins something else",
    "mapping values are not allowed": "a colon where no key can stand; a text with a colon needs quotes",
    "could not find expected ':'": "a key without its colon, or wrong indentation",
    "that cannot start any token": "{found} cannot begin a value; such text needs quotes, and indentation is by spaces",
    "could not determine a constructor": "a tag (!…) that means nothing here",
    "found unhashable key": "a key must be text",
    "unexpected end of stream": "the file ends within quotes",
    "found another document": "a second document (---) begins; a file holds one",
    "expected alphabetic or numeric": "an & or * without a name",
    "expected the node content": "a value is missing",
    "sequence entries are not allowed": "a dash where no list can begin",
    "for merging": "<< takes a mapping",
    "expected ',' or": "a bracket without its other half",
}  # fmt: skip


def check_aliases(paths: Iterable[Path]) -> None:
    """Raises UserError for a file whose aliases (*name) unfold without end, or to more than anyone can mean."""
    for path in paths:
        with suppress(OSError, ValueError, yaml.YAMLError, RecursionError):  # told by who reads it
            text = path.read_text(encoding="utf-8")
            if "*" in text and unfolded(text) > MOST_VALUES:
                raise UserError(f"{path}: its aliases (*name) unfold to more than {MOST_VALUES:,} values; write it out")


def unfolded(text: str) -> float:
    """How many values a YAML text holds once every alias stands for a copy; infinite where one stands in itself."""
    sizes: dict[str, float] = {}
    opened: list[tuple[str | None, float]] = [(None, 0)]  # anchors of what has begun, and its values until now
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, 1))
            if event.anchor is not None:
                sizes[event.anchor] = float("inf")
            continue
        if isinstance(event, yaml.AliasEvent):
            size = sizes.get(str(event.anchor), 1)
        elif isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor, 1
            if anchor is not None:
                sizes[anchor] = 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = opened.pop()
            if anchor is not None:
                sizes[anchor] = size
        else:
            continue
        opened[-1] = opened[-1][0], opened[-1][1] + size
    return opened[0][1]


def file_of(error: yaml.YAMLError) -> str:
    name = getattr(getattr(error, "problem_mark", error), "name", "<")
    return "a YAML file" if name.startswith("<") else str(name)


def unreadable(error: BaseException) -> str:
    """Why a YAML file cannot be read, with its line."""
    if isinstance(error, UnicodeDecodeError):
        return "is no text in UTF-8"
    if isinstance(error, RecursionError):
        return "is nested too deeply, or leads back to itself"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {problem(' '.join(str(error.problem).split()))}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"holds a character that YAML does not take, at position {error.position}"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}" if error.strerror else "holds a single value, and no keys"
    return first_line(error)


def problem(words: str) -> str:
    """PyYAML's words, for those who do not know how it reads."""
    for theirs, ours in PROBLEMS.items():
        if theirs in words:
            return ours.format(found=words.rpartition("found character ")[2].partition(" that")[0])
    return words
