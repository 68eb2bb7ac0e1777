"""A study: what a source reports, the runs that reproduce it, and its claims; read strictly, as conf/study has it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlhw.config.check import plain
from dlhw.errors import UserError
from dlhw.sweep.overrides import OVERRIDE, each_once, key_of, override
from dlhw.sweep.study_claims import Claim, read_claims
from dlhw.sweep.study_fields import (
    check_count,
    check_one_of,
    columns,
    fields,
    figures,
    line,
    overrides,
    tolerances,
)

NAME = re.compile(r"\w[\w.+-]*")
Scalar = bool | int | float | str | None
STUDY = {
    "name": str, "title": str, "question": str, "source": str, "notes": list[str], "base": list[str],
    "tolerance": dict, "noise": dict, "only": list[str] | None, "seeds": int | None, "limit": int | None,
    "tables": dict, "claims": list,
}  # fmt: skip
BY_VALUES = {"by": str, "values": list[Scalar | list[Scalar]], "set": list[str], "reported": dict}
BY_ROWS = {"rows": list, "set": list[str]}
ROW = {
    "label": str, "set": list[str], "keeps": list[str], "reported": dict, "note": str, "seeds": int | None,
    "curves": dict, "tolerance": dict,
}  # fmt: skip


@dataclass(frozen=True)
class StudyRow:
    """One setting, and what the source reports of it.

    set: its overrides, its table's included. keeps: keys that what the user types does not change here, nor what stands
    below them. seeds: how many. curves: the source's figures by epoch, from epoch 1, None where one is missing.
    """

    label: str
    set: list[str]
    keeps: list[str] = field(default_factory=list)
    reported: dict[str, float] = field(default_factory=dict)
    note: str = ""
    seeds: int | None = None
    curves: dict[str, list[float | None]] = field(default_factory=dict)
    tolerance: dict[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """by: the override key whose values are its rows; None where the rows are written out."""

    name: str
    by: str | None
    rows: list[StudyRow]


@dataclass(frozen=True)
class Study:
    """A study's definition.

    tolerance: by metric, how far a figure may lie from the source's: a number, "25%", or "x2", a factor. noise: by
    metric, the deviation over seeds where a row has a single one. seeds: every run with seeds 0 to seeds - 1. limit:
    one epoch of so many batches.
    """

    name: str
    title: str
    question: str
    source: str
    notes: list[str]
    base: list[str]
    tolerance: dict[str, float | str]
    noise: dict[str, float]
    only: list[str] | None
    seeds: int | None
    limit: int | None
    tables: dict[str, Table]
    claims: list[Claim]


@dataclass(frozen=True)
class StudyRun:
    """rows: the (table, label) that it stands in."""

    overrides: list[str]
    rows: list[tuple[str, str]]


def read_study(node: Mapping[str, Any]) -> Study:
    """A study from plain data or its node of a config. Raises UserError at the first thing that nobody can use."""
    given = fields(plain(node), "study", STUDY, required=("name", "tables"))
    if not NAME.fullmatch(given["name"]):
        raise UserError(f"study.name={line(given['name'])}: names a folder: letters, digits, _ . + and -")
    tables = {name: read_table(name, table) for name, table in given["tables"].items()}
    if not tables:
        raise UserError("study.tables: there is none")
    for name in given.get("only") or []:
        check_one_of("study.only", name, tables, "table")
    for key in ("seeds", "limit"):
        check_count(f"study.{key}", given.get(key))
    return Study(
        name=given["name"],
        title=given.get("title", given["name"]),
        question=given.get("question", ""),
        source=given.get("source", ""),
        notes=given.get("notes", []),
        base=overrides(given, "study", "base"),
        tolerance=tolerances(given, "study"),
        noise=figures(given, "study", "noise"),
        only=given.get("only"),
        seeds=given.get("seeds"),
        limit=given.get("limit"),
        tables=tables,
        claims=read_claims(given.get("claims", []), {name: [r.label for r in t.rows] for name, t in tables.items()}),
    )


def read_table(name: Any, node: Any) -> Table:
    path = f"study.tables.{line(name)}"
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UserError(f"{path}: a table's name has letters, digits, _ . + and -")
    if isinstance(node, dict) and "rows" in node:
        given = fields(node, path, BY_ROWS)
        shared = overrides(given, path, "set")
        rows = [read_row(f"{path}.rows[{index}]", row, shared) for index, row in enumerate(given["rows"])]
    else:
        given = fields(node, path, BY_VALUES, required=("by", "values"), others=("rows",))
        rows = rows_by_value(path, given)
    if not rows:
        raise UserError(f"{path}: has no rows")
    labels = [row.label for row in rows]
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"{path}: two rows are called {line(label)}")
    return Table(name, given.get("by"), rows)


def rows_by_value(path: str, given: dict[str, Any]) -> list[StudyRow]:
    """A row for each value of the key `by`, called as the value; figures come as lists in the order of the values."""
    key, values, shared = given["by"], given["values"], overrides(given, path, "set")
    if not OVERRIDE.fullmatch(key) or "=" in key:
        raise UserError(f"{path}.by={line(key)}: is the key of an override, such as optimizer.lr")
    reported = columns(given, path, "reported")
    for metric, column in reported.items():
        if len(column) != len(values):
            raise UserError(f"{path}.reported.{metric}: has {len(column)} figures for {len(values)} values")
    return [
        StudyRow(str(value), [*shared, override(key, value)], reported=at(reported, index))
        for index, value in enumerate(values)
    ]


def at(reported: dict[str, list[float | None]], index: int) -> dict[str, float]:
    return {metric: figure for metric, column in reported.items() if (figure := column[index]) is not None}


def read_row(path: str, node: Any, shared: list[str]) -> StudyRow:
    given = fields(node, path, ROW, required=("label",))
    if not given["label"].strip():
        raise UserError(f"{path}.label is empty")
    check_count(f"{path}.seeds", given.get("seeds"))
    return StudyRow(
        label=given["label"],
        set=[*shared, *overrides(given, path, "set")],
        keeps=given.get("keeps", []),
        reported=figures(given, path, "reported"),
        note=given.get("note", ""),
        seeds=given.get("seeds"),
        curves=columns(given, path, "curves"),
        tolerance=tolerances(given, path),
    )


def run_list(study: Study, typed: Sequence[str]) -> list[StudyRun]:
    """Every run of the study's tables (of `only`, where it is given) in their order, a run for each seed.

    typed: what the user typed beside study=… and study.…. The later of two overrides of a key counts: base, table, row,
    typed, limit, seed. Runs that come to the same are all listed.
    """
    return [
        StudyRun(run, [(table.name, row.label)])
        for table in study.tables.values()
        if study.only is None or table.name in study.only
        for row in table.rows
        for run in runs_of(study, row, typed)
    ]


def runs_of(study: Study, row: StudyRow, typed: Sequence[str]) -> list[list[str]]:
    """A row's runs. The study's seeds count before the row's, and a typed seed before the row's."""
    typed = [text for text in typed if not kept(key_of(text), row.keeps)]
    words = [*study.base, *row.set, *typed, *limits(study.limit)]
    seeds = study.seeds or (None if "seed" in map(key_of, typed) else row.seeds)
    if seeds is None:
        return [each_once(words)]
    return [each_once([*words, override("seed", seed)]) for seed in range(seeds)]


def kept(key: str, keeps: Sequence[str]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in keeps)


def limits(batches: int | None) -> list[str]:
    """A quick look: one epoch of so many batches, and no other end to it."""
    if batches is None:
        return []
    return ["epochs=1", override("limit_batches", batches), "loss_below=null", "early_stopping.patience=null"]
