"""A report as one HTML file that needs nothing beside it: no network, no other file."""

import base64
import hashlib
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dlhw.report import tables
from dlhw.report.contents import Report, Row, Run, Setting
from dlhw.report.page_images import embed, embed_runs
from dlhw.report.pictures import stem
from dlhw.report.settings import shown

HERE = Path(__file__).parent
MOST_ROWS, MOST_VALUES, MOST_TRACEBACK = 30, 12, 6000
TYPES = {".csv": "text/csv", ".md": "text/markdown", ".tex": "application/x-tex"}
ROW_VERDICTS = {
    "agrees": ("agrees", "agree"), "differs": ("differs", "differ"), "not judged": ("not judged",) * 2,
    "not run": ("not run",) * 2,
}  # fmt: skip
CLAIM_VERDICTS = {
    "holds": ("holds", "hold"), "within seed noise": ("within seed noise",) * 2,
    "does not hold": ("does not hold", "do not hold"), "not judged": ("not judged",) * 2,
}  # fmt: skip
TONES = {
    "agrees": "good", "holds": "good", "finished": "good", "differs": "bad", "does not hold": "bad", "failed": "bad",
    "within seed noise": "unsure", "interrupted": "unsure", "running": "unsure",
}  # fmt: skip


def page(report: Report, pictures: dict[str, bytes], files: dict[str, str]) -> str:
    """pictures: PNG by file stem, of draw_pictures. files: text by name, to be downloaded from the page."""
    css, js = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    images = {name: embed(name, png, alt_text(report, name)) for name, png in pictures.items()}
    of_tables = {name for table in _names(report.rows) for name in _stems(table)}
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    return environment.get_template("page.html.j2").render(
        report=report, css=Markup(css), js=Markup(js), policy=policy(css, js), tables=tables, shown=shown,
        facts=facts(report), answer=answer(report), sections=sections(report, set(images) - of_tables, files),
        study=[(name, list(rows), [images[stem] for stem in _stems(name) if stem in images])
               for name, rows in groupby(report.rows, key=lambda row: row.table)],
        pictures=[image for name, image in images.items() if name not in of_tables],
        run_images=embed_runs(report.runs), files={name: data_uri(name, text) for name, text in files.items()},
        number={id(run): number for number, run in enumerate(report.runs, start=1)}, tone=tone, thinned=thinned,
        figure=figure, command=command, id=id, place=place, last_lines=last_lines, sort_value=sort_value, many=many,
    )  # fmt: skip


def policy(css: str, js: str) -> str:
    """A content security policy: our own style and script, pictures that stand in the page, and nothing else."""
    style, script = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (css, js))
    allowed = f"style-src 'sha256-{style}'; script-src 'sha256-{script}'; img-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def sections(report: Report, others: Iterable[str], files: Mapping[str, str]) -> dict[str, str]:
    """Headings by anchor, of the sections that have something to say."""
    found: dict[str, tuple[str, Any]] = {
        "reported": ("Reported and measured", report.rows),
        "claims": ("Claims", report.claims),
        "notes": ("Notes", report.notes),
        "settings": ("Settings", report.settings),
        "comparisons": ("Comparisons", report.comparisons),
        "pictures": ("Pictures", list(others)),
        "failures": ("Failures", report.failures),
        "runs": ("Runs", report.runs),
        "reproduce": ("Reproduce", report.commands),
        "environment": ("Environment", report.environment),
        "files": ("Files", files),
    }
    return {anchor: heading for anchor, (heading, content) in found.items() if content}


def facts(report: Report) -> dict[str, str]:
    """What was run, in words."""
    statuses = Counter(run.status for run in report.runs)
    told = {f"{key}": values_of(report, key) for key in report.keys}
    counted = ", ".join(f"{count} {status}" for status, count in statuses.items())
    told["runs"] = f"{many(len(report.runs), 'run')} of {many(len(report.settings), 'setting')}: {counted or 'none'}"
    told["seeds"] = listed([str(seed) for seed in sorted({run.seed for run in report.runs})])
    return told


def values_of(report: Report, key: str) -> str:
    values = [setting.values[key] for setting in report.settings if key in setting.values]
    return listed(list(dict.fromkeys(shown(value) for value in values)))


def listed(names: list[str]) -> str:
    if len(names) <= MOST_VALUES:
        return ", ".join(names)
    return f"{', '.join(names[:3])}, … {', '.join(names[-2:])} ({len(names)} values)"


def many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def answer(report: Report) -> list[str]:
    """What a reader wants to know first, a sentence each."""
    told = []
    if report.rows:
        told.append(f"Rows: {counted([row.verdict for row in report.rows], ROW_VERDICTS)}.")
    if report.claims:
        told.append(f"Claims: {counted([claim.verdict for claim in report.claims], CLAIM_VERDICTS)}.")
    if report.best is not None and len(report.settings) > 1:
        return [*told, tables.best_line(report)]
    return told or [without_best(report)]


def counted(verdicts: list[str], words: dict[str, tuple[str, str]]) -> str:
    """How many of each, in the order of `words`, which hold the verb for one and for several."""
    numbers = Counter(verdicts)
    parts = [
        f"{numbers[verdict]} {forms[numbers[verdict] > 1]}" for verdict, forms in words.items() if numbers[verdict]
    ]
    return ", ".join(parts)


def without_best(report: Report) -> str:
    """Why nothing was chosen, or the figures of the only setting."""
    done = [setting for setting in report.settings if setting.figures]
    if not done:
        return "No run has finished, so there is nothing to choose from."
    if len(report.settings) == 1:
        figures = [name for name in tables.shown_metrics(report) if name in done[0].figures][:3]
        return ", ".join(f"{name} {tables.number(done[0].figures[name], name)}" for name in figures)
    if report.chosen_by is None:
        return "No setting was chosen: the runs have no validation split, and the test split chooses nothing."
    return f"No setting was chosen: no finished run has {report.chosen_by}."


def alt_text(report: Report, name: str) -> str:
    kind, _, of = name.partition("_")
    tables_of = {stem("table", table): table for table in _names(report.rows)}
    curves_of = {stem("curves", table): table for table in _names(report.rows)}
    if name in tables_of:
        return f"{tables_of[name]}: the reported figures beside the measured ones"
    if name in curves_of:
        return f"{curves_of[name]}: the reported curves by epoch beside the measured ones"
    if name == "heat_map":
        return f"{report.metric} for each pair of {' and '.join(report.keys)}"
    if name == "metric_against_seconds":
        return f"{report.metric} against seconds of training, a dot for each setting"
    return f"{report.metric} by {of}" if kind == "by" else "The curves of all runs by epoch"


def _names(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(row.table for row in rows))


def _stems(table: str) -> tuple[str, str]:
    return stem("table", table), stem("curves", table)


def data_uri(name: str, text: str) -> str:
    kind = TYPES.get(Path(name).suffix, "text/plain")
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"


def tone(word: str) -> str:
    """The colour of a verdict or a status, whose word stands beside it always."""
    return TONES.get(word, "quiet")


def thinned(run: Run) -> list[dict[str, float]]:
    """Rows of metrics.csv, the first, the last and evenly some between, at most MOST_ROWS."""
    count = min((len(column) for column in run.rows.values()), default=0)
    picked = np.unique(np.linspace(0, count - 1, min(count, MOST_ROWS)).round().astype(int))
    return [{name: float(column[index]) for name, column in run.rows.items()} for index in picked]


def figure(value: float, name: str) -> str:
    """Of one run: counts in full, rates as they were typed."""
    if "/" not in name and value.is_integer():
        return f"{value:,.0f}"
    return f"{value:g}" if name == "lr" else tables.figure(value, name)


def command(run: Run) -> str:
    return shlex.join(["dlhw", *run.overrides])


def place(run: Run, report: Report) -> str:
    """The run's folder as seen from the report, where it lies in the report's own."""
    within = run.folder.is_relative_to(report.folder)
    return (run.folder.relative_to(report.folder) if within else run.folder).as_posix()


def last_lines(text: str) -> str:
    """The end of a long traceback, where the cause stands."""
    return text if len(text) <= MOST_TRACEBACK else f"…{text[-MOST_TRACEBACK:]}"


def sort_value(setting: Setting, name: str) -> str:
    """What a cell of the table of settings is sorted by: the mean of a metric or a key's value, in full precision."""
    if name in setting.values:
        value = setting.values[name]
        return repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else shown(value)
    return repr(setting.figures[name].mean) if name in setting.figures else ""
