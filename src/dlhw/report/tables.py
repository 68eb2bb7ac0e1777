"""The report's tables as cells of text, the same for Markdown, LaTeX and the terminal; summary.csv."""

import csv
import io
import math
import os
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from dlhw.report.contents import Estimate, Report, Row, Run, Setting
from dlhw.report.settings import essence, shown

SPLITS = ("test/", "val/", "train/")
COUNTS = ("best_epoch", "epochs", "parameters", "first_below")
TIMINGS = ("seconds", "samples_per_second")
NONE = "–"


@dataclass(frozen=True)
class Table:
    """words: how many columns, from the left, hold words; the others hold figures. bold: the line to point out."""

    title: str
    header: list[str]
    lines: list[list[str]]
    words: int
    bold: int | None = None


def summary_csv(report: Report) -> str:
    """A line a run, in full precision. All but the columns of TIMINGS is the same where the results are."""
    metrics = run_columns(report)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["label", "status", *report.keys, "seed", *metrics, *TIMINGS, "folder", "error"])
    values = {run.folder: setting.values for setting in report.settings for run in setting.runs}
    for run in report.runs:
        keys = [cell(values.get(run.folder, {}), key) for key in report.keys]
        figures = [exact(run, metric) for metric in (*metrics, *TIMINGS)]
        folder = Path(os.path.relpath(run.folder, report.folder)).as_posix()
        words = map(inert, [run.label, run.status, *keys])
        writer.writerow([*words, run.seed, *figures, inert(folder), inert(one_line(run.error))])
    return text.getvalue()


def inert(text: str) -> str:
    """What a spreadsheet would work out as a formula, as text to it."""
    if not text.startswith(("=", "+", "-", "@")):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def run_columns(report: Report) -> list[str]:
    """The report's metric, then test, val, train, then the rest."""
    there = {metric for run in report.runs for metric in run.figures}
    first = [report.metric] if report.metric in there else []
    by_split = [metric for split in SPLITS for metric in sorted(there) if metric.startswith(split)]
    rest = [metric for metric in ("gap", *COUNTS) if metric in there]
    return list(dict.fromkeys([*first, *by_split, *rest]))


def exact(run: Run, metric: str) -> str:
    value = run.figures.get(metric)
    if value is None:
        return ""
    return str(int(value)) if metric in COUNTS and value.is_integer() else repr(value)


def settings_table(report: Report) -> Table:
    """The swept keys, how many runs finished, and the figures that matter most."""
    keys, metrics = shown_keys(report), shown_metrics(report)
    lines = []
    for setting in report.settings:
        figures = [number(setting.figures.get(metric), metric) for metric in metrics]
        lines.append([*(cell(setting.values, key) for key in keys), finished_of(setting), *figures])
    best = next((i for i, setting in enumerate(report.settings) if setting is report.best), None)
    return Table("Settings", [*keys, "n", *metrics], lines, len(keys), best if len(lines) > 1 else None)


def shown_keys(report: Report) -> list[str]:
    """The report's, and `row` for the rows of a study that override nothing."""
    more = dict.fromkeys(key for setting in report.settings for key in setting.values if key not in report.keys)
    return [*report.keys, *more]


def shown_metrics(report: Report) -> list[str]:
    essences = [report.metric, *(own_metric(report, setting) for setting in report.settings)]
    in_training = [f"train/{metric.rpartition('/')[2]}" for metric in dict.fromkeys(essences)]
    wanted = [*essences, "test/loss", report.chosen_by, *in_training, "train/loss", "first_below", "seconds"]
    there = {metric for setting in report.settings for metric in setting.figures}
    return [metric for metric in dict.fromkeys(wanted) if metric is not None and metric in there]


def own_metric(report: Report, setting: Setting | None) -> str:
    """The report's, unless the setting's task has another."""
    if setting is None or not setting.figures or report.metric in setting.figures:
        return report.metric
    return essence(setting.runs)


def finished_of(setting: Setting) -> str:
    done = sum(run.status == "finished" for run in setting.runs)
    return str(done) if done == len(setting.runs) else f"{done} of {len(setting.runs)}"


def study_tables(report: Report) -> list[Table]:
    """A line a reported figure; a row without one has a line with what was measured."""
    tables = []
    for name, rows in groupby(report.rows, key=lambda row: row.table):
        members = list(rows)
        lines = [line for row in members for line in row_lines(report, row)]
        notes = ["note"] if any(row.note for row in members) else []
        header = ["row", "metric", "reported", "measured", "difference", "verdict", *notes]
        tables.append(Table(name, header, [line[: len(header)] for line in lines], 2))
    return tables


def row_lines(report: Report, row: Row) -> list[list[str]]:
    lines = []
    for index, metric in enumerate(row.reported or [own_metric(report, row.setting)]):
        measured = row.setting.figures.get(metric) if row.setting else None
        reported = row.reported.get(metric)
        told = NONE if reported is None else f"{reported:g}"
        difference = NONE if reported is None or measured is None else f"{measured.mean - reported:+.4g}"
        verdict = row.verdicts.get(metric, row.verdict)
        note = "" if index else row.note
        lines.append(["" if index else row.label, metric, told, number(measured, metric), difference, verdict, note])
    return lines


def number(estimate: Estimate | None, metric: str = "") -> str:
    """Mean ± sd, to the sd's second digit; a figure of one seed to four digits."""
    if estimate is None:
        return NONE
    if not estimate.sd:
        return figure(estimate.mean, metric) + ("" if estimate.sd is None else " ± 0")
    decimals = 1 - math.floor(math.log10(estimate.sd))
    if decimals > 6 or abs(estimate.mean) >= 1e6:
        return f"{estimate.mean:.3e} ± {estimate.sd:.1e}"
    return f"{estimate.mean:.{max(decimals, 0)}f} ± {estimate.sd:.{max(decimals, 0)}f}"


def figure(value: float, metric: str = "") -> str:
    if metric in COUNTS and value.is_integer():
        return str(int(value))
    if value == 0 or not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:.{min(max(3 - math.floor(math.log10(abs(value))), 0), 4)}f}"


def cell(values: dict[str, Any], key: str) -> str:
    """Empty where the setting has no such key."""
    return shown(values[key]) if key in values else ""


def one_line(text: str) -> str:
    """Without line breaks, and without signs that are not seen and could still move what stands around them."""
    return "".join(sign for sign in " ".join(text.split()) if sign.isprintable())


def best_line(report: Report) -> str:
    if report.best is None or report.chosen_by is None or len(report.settings) < 2:
        return ""
    told = [metric for metric in dict.fromkeys((report.chosen_by, report.metric)) if metric in report.best.figures]
    figures = ", ".join(f"{metric} {number(report.best.figures[metric], metric)}" for metric in told)
    return f"Best by {report.chosen_by}: {report.best.label} ({figures})."


def tally(report: Report) -> list[str]:
    """How many of a study's figures agree, by metric, and how its claims fare."""
    lines = []
    for metric in dict.fromkeys(metric for row in report.rows for metric in row.reported):
        verdicts = [row.verdicts[metric] for row in report.rows if metric in row.reported]
        judged = [verdict for verdict in verdicts if verdict in ("agrees", "differs")]
        rest = f" ({len(verdicts) - len(judged)} more not run or not judged)" if len(judged) < len(verdicts) else ""
        if judged:
            lines.append(f"{metric}: {judged.count('agrees')} of {len(judged)} figures agree with the source{rest}")
    verdicts_of_claims = [claim.verdict for claim in report.claims]
    if verdicts_of_claims:
        counts = [f"{verdicts_of_claims.count(v)} {v}" for v in dict.fromkeys(verdicts_of_claims)]
        lines.append(f"claims: {', '.join(counts)}")
    return lines


def aligned(table: Table, most: int = 60) -> str:
    """Text for a terminal; of more than `most` lines the first."""
    cells = [table.header, *table.lines[:most]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    left = {*range(table.words), *(i for i, name in enumerate(table.header) if name in ("verdict", "note"))}
    lines = [
        "  ".join(text.ljust(width) if i in left else text.rjust(width)
                  for i, (text, width) in enumerate(zip(line, widths, strict=True))).rstrip()
        for line in cells
    ]  # fmt: skip
    more = len(table.lines) - most
    return "\n".join([*lines, *([f"… and {more} more"] if more > 0 else [])])
