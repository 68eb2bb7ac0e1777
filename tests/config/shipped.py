"""What conf/ ships, read from its files, so that no list here can go stale."""

from collections.abc import Iterator
from typing import Any

import yaml

from dlhw.config.shipped import conf_dir

CONF = conf_dir()
# config, model/fc, …; but for studies, which have a schema of their own: tests/sweep/test_study.py
FILES = sorted(
    path.relative_to(CONF).with_suffix("").as_posix() for path in CONF.rglob("*.yaml") if path.parent.name != "study"
)
# What an option must come with, where it does not fit the default run.
COMPANIONS = {
    "dataset=image_folder": ["dataset.root=photos"],
    "model=rnn": ["dataset=sine"],
    "model=unet": ["dataset=canvas"],
    "model=resnet50_unet": ["dataset=canvas"],
}
GROUPS = sorted(folder.name for folder in CONF.iterdir() if folder.is_dir())


def options(group: str) -> list[str]:
    """What a person types after GROUP=. Files in a folder named kind are parts of options, not options."""
    files = [path.relative_to(CONF / group) for path in (CONF / group).rglob("*.yaml")]
    return sorted(file.with_suffix("").as_posix() for file in files if "kind" not in file.parts)


def read(file: str) -> dict[str, Any]:
    content = yaml.safe_load((CONF / f"{file}.yaml").read_text())
    assert isinstance(content, dict), file
    return content


def header(file: str) -> str:
    """The file's package line, which says where its keys belong; empty where the folder's name says it."""
    first = (CONF / f"{file}.yaml").read_text().partition("\n")[0]
    return first if first.startswith("# @package") else ""


def key_paths(content: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every key, also of those that hold others: ("monitor",), ("monitor", "metric")."""
    for key, value in content.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from key_paths(value, (*above, key))


def chosen_with(file: str) -> tuple[str, list[str]]:
    """Where the file's keys lie in the composed config ("" is its root), and the overrides that choose it."""
    group, _, option = file.partition("/")
    if file == "config":
        return "", []
    if option.startswith("kind/"):
        option = next(o for o in options(group) if option in str(read(f"{group}/{o}").get("defaults")))
    choice = f"{group}={option}"
    return "" if header(file) else group, [choice, *COMPANIONS.get(choice, [])]
