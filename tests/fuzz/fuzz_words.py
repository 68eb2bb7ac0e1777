"""Command lines that are wrong, or nearly so: each kind is a function from a random generator to a case."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from fuzz_door import Case
from fuzz_values import (
    DIRT,
    FLAGS,
    HYDRA_GROUPS,
    HYDRA_VALUES,
    HYDRAS,
    INTERPOLATIONS,
    ODD_OPTIONS,
    OF_MANY_RUNS,
    OF_STUDIES,
    PACKAGES,
    SIGNS,
    SWEEPS,
    TARGETS,
    VALUES,
)

from dlhw.config.schema import Config

CONFIG_TESTS = str(Path(__file__).parents[1] / "config")
if CONFIG_TESTS not in sys.path:
    sys.path.insert(0, CONFIG_TESTS)

from misspell import misspelt  # noqa: E402
from shipped import FILES, GROUPS, chosen_with, key_paths, options, read  # noqa: E402


@cache
def known_keys() -> list[tuple[tuple[str, ...], str, Any]]:
    """Every key of the shipped files but studies, as typed: the choice that brings it, its path, its value."""
    found = []
    for file in FILES:
        if "/kind/" in file:
            continue
        where, choice = chosen_with(file)
        for path in key_paths(read(file)):
            if path[0] not in ("defaults", "hydra") and not (file == "config" and path[0] == "study"):
                value = read(file)
                for key in path:
                    value = value[key]
                found.append((tuple(choice), ".".join((*filter(None, [where]), *path)), value))
    return found


def rendered(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(rendered, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{rendered(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        return f"'{value}'"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


def dlhw(rng: Random, *words: str, wrong: bool = False, **files: bytes) -> Case:
    """Now and then as a sweep; -m may stand anywhere."""
    if rng.random() < 0.15:
        words = (*words[: (at := rng.randrange(len(words) + 1))], "-m", *words[at:])
    return Case("dlhw", words, files, wrong)


def misspelt_key(rng: Random) -> Case:
    choice, key, value = rng.choice(known_keys())
    parts = key.split(".")
    at = rng.randrange(len(parts))
    parts[at] = misspelt(parts[at], {name.split(".")[-1] for _, name, _ in known_keys()}, rng.randrange(100))
    sign = rng.choice(SIGNS)
    typed = rendered(value) if at == len(parts) - 1 or not isinstance(value, dict) else "1"
    return dlhw(rng, *choice, f"{sign}{'.'.join(parts)}" + ("" if sign == "~" else f"={typed}"), wrong=True)


def wrong_type(rng: Random) -> Case:
    """A root key of the schema with a value that its type cannot hold, or that lies out of its range."""
    key, bad = rng.choice(list(wrong_values()))
    return dlhw(rng, f"{rng.choice(('', '++'))}{key}={bad}", wrong=True)


@cache
def wrong_values() -> tuple[tuple[str, str], ...]:
    return tuple(wrong_of(Config))


def wrong_of(schema: Any, path: str = "") -> Iterator[tuple[str, str]]:
    for spec in fields(schema):
        key, said = f"{path}{spec.name}", spec.metadata
        if is_dataclass(spec.type):
            yield from wrong_of(spec.type, f"{key}.")
            yield from ((key, bad) for bad in ("3", "[]", "null"))
        elif "allowed" in said:
            yield from ((key, bad) for bad in ("3", "[]", "nan", misspelt(str(said["allowed"][0]), {"min", "max"}, 1)))
        elif "minimum" in said:
            low, high = said["minimum"], said["maximum"]
            yield from (
                (key, bad) for bad in (str(low - 1), "nan", "inf", "-inf", "ten", "[1]", "{a:1}", "1e400", "''")
            )
            yield from [(key, str(high + 1))] if high < float("inf") else []
            yield from ((key, bad) for bad in (("1.5", "0x1x") if isinstance(spec.default, int) else ()))
        elif spec.type is bool:
            yield from ((key, bad) for bad in ("maybe", "2.5", "[true]", "null", "{}"))
        elif "pattern" in said:
            yield from ((key, bad) for bad in ("a/b", "..", "''", "[a]", "-a", "a b"))


def any_value(rng: Random) -> Case:
    """A known key with a value that may be anything."""
    choice, key, _ = rng.choice(known_keys())
    if key.endswith("_target_"):
        return dlhw(rng, *choice, f"{key}={rng.choice(TARGETS)}")
    return dlhw(rng, *choice, f"{rng.choice(SIGNS[:4])}{key}={rng.choice(VALUES)}")


def interpolated(rng: Random) -> Case:
    choice, key, _ = rng.choice(known_keys())
    words = [*choice, f"{key}={rng.choice(INTERPOLATIONS)}"]
    if rng.random() < 0.3:  # a circle
        other = rng.choice(known_keys())[1]
        words[-1:] = [f"{key}=${{{other}}}", f"{other}=${{{key}}}"]
    return dlhw(rng, *words)


def swept(rng: Random) -> Case:
    choice, key, _ = rng.choice([*known_keys(), *(((), group, "") for group in GROUPS)])
    if key.endswith("_target_"):
        key = "seed"
    return Case("dlhw", (*(("-m",) if rng.random() < 0.7 else ()), *choice, f"{key}={rng.choice(SWEEPS)}"))


def wrong_option(rng: Random) -> Case:
    group = rng.choice(GROUPS)
    option = rng.choice(options(group))
    wrong = misspelt(option.rpartition("/")[2], {o.rpartition("/")[2] for o in options(group)}, rng.randrange(100))
    wrong = f"{option.rpartition('/')[0]}/{wrong}" if "/" in option and rng.random() < 0.7 else wrong
    return dlhw(rng, f"{rng.choice(('', '', '+'))}{group}={wrong}", wrong=True)


def odd_option(rng: Random) -> Case:
    """Options, packages and signs that do not go together."""
    group = rng.choice([*GROUPS, *HYDRA_GROUPS])
    known = options(group) if group in GROUPS else ["joblib", "optuna", "nope"]
    option, package = rng.choice([*known, *VALUES, *ODD_OPTIONS]), rng.choice(PACKAGES)
    return dlhw(rng, f"{rng.choice(SIGNS)}{group}{package}={option}")


def deleted(rng: Random) -> Case:
    choice, key, value = rng.choice(
        [*known_keys(), *(((), name, "x") for name in (*GROUPS, "", "hydra", "hydra.run", "nope"))]
    )
    return dlhw(
        rng,
        *choice,
        rng.choice((f"~{key}", f"~{key}={rendered(value)}", f"~{key}=nope", f"~~{key}", f"~{key}.x", f"~{key}@x")),
    )


def contradictory(rng: Random) -> Case:
    choice, key, value = rng.choice(known_keys())
    group = rng.choice(GROUPS)
    first, second = rng.choice(options(group)), rng.choice(options(group))
    right = f"{key}={rendered(value)}"
    words = [
        *choice, right, f"{key}={rng.choice(VALUES[:60])}", f"{group}={first}", f"{group}={second}", f"~{group}",
        f"~{key}", f"+{right}", f"{key}.deeper=1", f"{key.partition('.')[0]}=3", f"+{group}={second}", f"{key}=",
    ]  # fmt: skip
    return dlhw(rng, *rng.sample(words, rng.randrange(2, 5)))


def of_hydra(rng: Random) -> Case:
    key = rng.choice(HYDRAS)
    if rng.random() < 0.3:
        key = misspelt(key.rpartition(".")[2] or "hydra", {"dir"}, rng.randrange(50)).join(("hydra.", ""))
    return dlhw(rng, f"{rng.choice(SIGNS)}{key}={rng.choice(HYDRA_VALUES)}")


def flagged(rng: Random) -> Case:
    words = [*rng.choice(FLAGS)]
    if rng.random() < 0.3:
        words[rng.randrange(len(words) + 1) : 0] = [rng.choice(("model=fc", "epochs=0", "+nope=3", "seed=1,2"))]
    return Case("dlhw", tuple(words), {"notes.txt": b"notes\n"})


def broken(rng: Random) -> Case:
    """Words that are right, with characters put in, taken out or doubled."""
    choice, key, value = rng.choice(known_keys())
    words = [*choice, f"{key}={rendered(value)}"]
    at = rng.randrange(len(words))
    for _ in range(rng.randrange(1, 4)):
        words[at] = mutated(rng, words[at])
    return dlhw(rng, *words)


def mutated(rng: Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    dirt = rng.choice(DIRT)  # fmt: skip
    how: tuple[Callable[[], str], ...] = (
        lambda: text[:at] + dirt + text[at:],
        lambda: text[:at] + dirt + text[at + 1 :],
        lambda: text[:at] + text[at + 1 :],
        lambda: text[:at] + text[at:] * rng.choice((2, 50)),
        lambda: text[:at],
        lambda: text[at:],
        lambda: text[:at] + text[at : at + 1].swapcase() + text[at + 1 :],
    )
    return rng.choice(how)()


def study(rng: Random) -> Case:
    name = rng.choice(options("study"))
    extra = rng.choice(OF_STUDIES)  # fmt: skip
    words = [f"study={name}", *extra.split(" ")] if rng.random() < 0.7 else extra.split(" ")
    return Case("dlhw", tuple(words), wrong=len(words) == 1 and extra.startswith("study.") and extra != "study.only=[]")


def many_runs(rng: Random) -> Case:
    word = rng.choice(OF_MANY_RUNS)  # fmt: skip
    return Case("dlhw", (*rng.choice(((), ("-m",))), "model=fc", word), wrong=True)


KINDS: tuple[Callable[[Random], Case], ...] = (
    misspelt_key, wrong_type, any_value, interpolated, swept, wrong_option, odd_option, deleted, contradictory,
    of_hydra, flagged, broken, study, many_runs,
)  # fmt: skip
