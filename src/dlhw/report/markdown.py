"""summary.md."""

import re
from collections.abc import Iterable, Iterator

from dlhw.report.contents import Report
from dlhw.report.tables import NONE, Table, best_line, one_line, settings_table, study_tables, tally

LEGEND = "n: finished runs. Figures: mean ± standard deviation over seeds."


def summary_md(report: Report) -> str:
    return "\n\n".join(blocks(report)) + "\n"


def blocks(report: Report) -> Iterator[str]:
    yield f"# {escaped(report.title)}"
    if report.question:
        yield escaped(report.question)
    if report.commands:
        yield code(map(one_line, report.commands))
    if report.rows:
        yield "\n".join(f"- {escaped(line)}" for line in tally(report))
    for table in study_tables(report):
        yield f"## {escaped(table.title)}\n\n{markdown(table)}"
    if report.claims:
        yield "## Claims\n\n" + markdown(claims_table(report))
    yield f"## Settings\n\n{LEGEND}\n\n{markdown(settings_table(report))}"
    if best := best_line(report):
        yield escaped(best)
    for title, lines in (
        ("Comparisons", [comparison.says for comparison in report.comparisons]),
        ("Failures", failures(report)),
        ("Notes", report.notes),
        ("Made with", [f"{key}: {value}" for key, value in report.environment.items()]),
    ):
        if lines:
            yield f"## {title}\n\n" + "\n".join(f"- {escaped(line)}" for line in lines)


def code(lines: Iterable[str]) -> str:
    """A block of commands, fenced by more backticks than stand in any of them."""
    text = "\n".join(lines)
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
    return f"{fence}sh\n{text}\n{fence}"


def failures(report: Report) -> list[str]:
    """What failed, and what could not be read."""
    told = [run for run in report.runs if run in report.failures or run.error]
    return [f"{run.label} ({run.status}){': ' if run.error else ''}{run.error}" for run in told]


def claims_table(report: Report) -> Table:
    return Table(
        "Claims", ["claim", "verdict", "evidence"], [[c.says, c.verdict, c.evidence] for c in report.claims], 3
    )


def markdown(table: Table) -> str:
    words = {*range(table.words), *(i for i, name in enumerate(table.header) if name in ("verdict", "note"))}
    rule = ["---" if index in words else "---:" for index in range(len(table.header))]
    lines = [[escaped(text) for text in line] for line in table.lines]
    if table.bold is not None:
        lines[table.bold] = [f"**{text}**" if text not in ("", NONE) else text for text in lines[table.bold]]
    rows = [[escaped(text) for text in table.header], rule, *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def escaped(text: str) -> str:
    """Plain words on one line, whatever signs are in them."""
    return re.sub(r"([\\`*|<\[\]]|(?<!\w)_|_(?!\w))", r"\\\1", one_line(text))
