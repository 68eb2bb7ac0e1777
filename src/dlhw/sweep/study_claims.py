"""The claims of a study: what a source says of its results, each with the checks that bear it out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlhw.config.check import check_type, unknown_key
from dlhw.errors import UserError, did_you_mean
from dlhw.sweep.study_fields import check_metric, check_one_of, fields, line

# What each check takes; the first key says what it is about: a table, a row, or rows ("table/label"), or a text.
CHECKS: dict[str, dict[str, Any]] = {
    "rises": {"rises": "table", "metric": str, "from": str, "to": str},
    "falls": {"falls": "table", "metric": str, "from": str, "to": str},
    "best": {"best": "row", "metric": str, "among": "rows"},
    "worst": {"worst": "row", "metric": str, "among": "rows"},
    "order": {"order": "rows", "metric": str},
    "alike": {"alike": "rows", "metric": str, "within": float},
    "differ": {"differ": "rows", "metric": str, "by": float, "within": float},
    "fails": {"fails": "row"},
    "learns_nothing": {"learns_nothing": "row", "metric": str, "baseline": float, "within": float},
    "spread": {"spread": "row", "metric": str, "within": float},
    "needs": {"needs": str},
}
OPTIONAL = ("from", "to", "among")
Labels = Mapping[str, Sequence[str]]  # of each table's rows


@dataclass(frozen=True)
class Claim:
    """checks: one mapping each, as in the YAML: the kind of check with what it is about, and its other keys."""

    says: str
    checks: list[dict[str, Any]]


def read_claims(nodes: list[Any], tables: Labels) -> list[Claim]:
    """Raises UserError at a check that is misspelt, or that names a table or row which the study does not have."""
    claims = []
    for index, node in enumerate(nodes):
        path = f"study.claims[{index}]"
        given = fields(node, path, {"says": str, "checks": list}, required=("says", "checks"))
        if not given["checks"]:
            raise UserError(f"{path}.checks: there is none")
        for number, check in enumerate(given["checks"]):
            read_check(f"{path}.checks[{number}]", check, tables)
        claims.append(Claim(given["says"], given["checks"]))
    return claims


def read_check(path: str, check: Any, tables: Labels) -> None:
    kind = kind_of(path, check)
    for key in check:
        if key not in CHECKS[kind]:
            raise UserError(unknown_key(f"{path}.{line(key)}", CHECKS[kind]))
    for key, what in CHECKS[kind].items():
        if key in check:
            read_part(f"{path}.{key}", check[key], what, tables)
        elif key not in OPTIONAL:
            raise UserError(f"{path}.{key} is missing: {kind} needs it")
    if "metric" in check:
        check_metric(f"{path}.metric", check["metric"])
    if kind == "differ" and len(check["differ"]) != 2:
        raise UserError(f"{path}.differ: compares two rows, not {len(check['differ'])}")
    for end in ("from", "to"):
        if end in check:
            check_one_of(f"{path}.{end}", check[end], tables[check[kind]], f"row of {check[kind]}")


def kind_of(path: str, check: Any) -> str:
    if not isinstance(check, dict):
        raise UserError(f"{path}={line(check)}: is a check: {', '.join(CHECKS)}")
    for kind in CHECKS:
        if kind in check:
            return kind
    first = line(next(iter(check), "nothing"))
    raise UserError(f"{path}: {first} is no check ({', '.join(CHECKS)}){did_you_mean(first, CHECKS)}")


def read_part(path: str, value: Any, what: Any, tables: Labels) -> None:
    """What a key of a check holds: a table, a row, two or more rows, or a plain type."""
    check_type(path, value, {"rows": list[str], "row": str, "table": str}.get(what, what))
    if what == "table":
        check_one_of(path, value, tables, "table")
    elif what == "row":
        check_row(path, value, tables)
    elif what == "rows":
        if len(value) < 2:
            raise UserError(f"{path}: compares two rows or more")
        for row in value:
            check_row(path, row, tables)


def check_row(path: str, row: str, tables: Labels) -> None:
    table, slash, label = row.partition("/")
    if not slash:
        raise UserError(f"{path}={line(row)}: a row is named as table/label")
    check_one_of(path, table, tables, "table")
    check_one_of(path, label, tables[table], f"row of {table}")
