"""A study's rows: the figures that the source reports against those that were measured."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from dlhw.errors import UserError
from dlhw.report.contents import Row, Setting, Verdict
from dlhw.report.finding import Sweep
from dlhw.report.run_files import is_finite
from dlhw.report.settings import setting as make_setting

DEFAULT_TOLERANCE = {"test/accuracy": 0.01, "val/accuracy": 0.01}


def judge_rows(study: dict[str, Any], sweep: Sweep, settings: Sequence[Setting]) -> list[Row]:
    """The rows of the study's tables, of those in `only` where it names some. Raises UserError for a tolerance that
    is none."""
    runs: dict[tuple[str, str], list[int]] = {}
    for index, entry in enumerate(sweep.entries):
        for table, label in entry.get("rows") or []:
            runs.setdefault((str(table), str(label)), []).append(index)
    known = {tuple(str(run.folder) for run in setting.runs): setting for setting in settings}
    rows = []
    for table, told in defined_rows(study):
        found = [sweep.runs[index] for index in runs.get((table, told["label"]), [])]
        same = known.get(tuple(str(run.folder) for run in found))
        setting = same or (make_setting({"row": f"{table}/{told['label']}"}, found) if found else None)
        rows.append(judge_row(study, table, told, setting))
    return rows


def defined_rows(study: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Table and row, those written as `by` and `values` too, labels as text."""
    found = []
    for table, told in (study.get("tables") or {}).items():
        if study.get("only") and table not in study["only"]:
            continue
        rows = told.get("rows") or listed_values(told)
        found += [(str(table), {**row, "label": str(row["label"]), "by": told.get("by")}) for row in rows]
    return found


def listed_values(table: dict[str, Any]) -> list[dict[str, Any]]:
    reported = table.get("reported") or {}
    return [
        {"label": value, "reported": {metric: figures[i] for metric, figures in reported.items() if i < len(figures)}}
        for i, value in enumerate(table.get("values") or [])
    ]


def judge_row(study: dict[str, Any], table: str, told: dict[str, Any], setting: Setting | None) -> Row:
    reported = {metric: float(v) for metric, v in (told.get("reported") or {}).items() if is_finite(v)}
    tolerances = {**DEFAULT_TOLERANCE, **(study.get("tolerance") or {}), **(told.get("tolerance") or {})}
    verdicts = {
        metric: judge_figure(metric, figure, setting, None if study.get("limit") else tolerances.get(metric))
        for metric, figure in reported.items()
    }
    curves = {m: [float(v) if is_finite(v) else math.nan for v in c] for m, c in (told.get("curves") or {}).items()}
    return Row(
        table, told["label"], setting, reported, verdicts, of_row(verdicts.values(), setting),
        str(told.get("note") or ""), curves, str(told.get("by") or ""),
    )  # fmt: skip


def judge_figure(metric: str, reported: float, setting: Setting | None, tolerance: Any) -> Verdict:
    if setting is None or not any(run.status == "finished" for run in setting.runs):
        return "not run"
    measured = setting.figures.get(metric)
    if measured is None or tolerance is None:
        return "not judged"
    away = abs(measured.mean - reported)
    # The last digits of a difference of two decimals are noise: 0.8724 - 0.8624 is 0.010000000000000009.
    allowed = 2 * (measured.sd or 0.0) + 1e-9 * abs(reported)
    return "agrees" if away <= allowed or within(measured.mean, reported, tolerance) else "differs"


def within(measured: float, reported: float, tolerance: Any) -> bool:
    """tolerance: a number (absolute), "25%" of the reported figure, or "x2", a factor up or down."""
    text = str(tolerance).strip()
    slack = 1 + 1e-9
    try:
        if text.endswith("%"):
            return abs(measured - reported) <= float(text[:-1]) / 100 * abs(reported) * slack
        if text.startswith("x"):
            factor = float(text[1:]) * slack
            return measured * reported > 0 and 1 / factor <= measured / reported <= factor
        return abs(measured - reported) <= float(text) + 1e-9 * abs(reported)
    except ValueError:
        raise UserError(f"tolerance: {text}: is a number, a percentage such as 25%, or a factor such as x2") from None


def of_row(verdicts: Iterable[Verdict], setting: Setting | None) -> Verdict:
    given = set(verdicts)
    for verdict in ("differs", "agrees", "not run"):
        if verdict in given:
            return verdict
    return "not run" if setting is None or not setting.figures else "not judged"


def study_notes(study: dict[str, Any]) -> list[str]:
    """The study's own notes, and how it was judged."""
    notes = [f"Source: {study['source']}."] if study.get("source") else []
    notes += [str(note) for note in study.get("notes") or []]
    tolerance, noise = study.get("tolerance") or {}, study.get("noise") or {}
    if tolerance:
        allowed = ", ".join(f"{metric} {value}" for metric, value in tolerance.items())
        notes.append(f"A figure agrees within {allowed}, or within two standard deviations over seeds if that is more.")
    if noise:
        assumed = ", ".join(f"{metric} {value}" for metric, value in noise.items())
        notes.append(f"Where a row has one seed, claims assume this standard deviation over seeds: {assumed}.")
    if study.get("limit"):
        notes.append("A quick look: each run took one epoch of a few batches, so nothing is judged.")
    return notes
