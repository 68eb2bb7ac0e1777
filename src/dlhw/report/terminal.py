"""What `dlhw-report` prints: the tables, aligned, and what is to be said of them."""

from dlhw.report.contents import Report
from dlhw.report.markdown import failures
from dlhw.report.tables import aligned, best_line, one_line, settings_table, study_tables, tally

MOST_LINES = 5  # of comparisons and of failures; the files have them all


def told(report: Report) -> str:
    parts = [one_line(report.title)]
    parts += [f"{table.title}\n{aligned(table)}" for table in study_tables(report)]
    judged = [claim for claim in report.claims if claim.verdict != "not judged"]
    parts += ["\n".join(f"{claim.verdict}: {claim.says}" for claim in judged)]
    parts += ["\n".join(tally(report))]
    parts += [aligned(settings_table(report))] if not report.rows else []
    parts += [best_line(report)]
    parts += [listed([comparison.says for comparison in report.comparisons])] if not report.rows else []
    parts += [listed(failures(report))]
    return "\n\n".join(part for part in parts if part)


def listed(lines: list[str]) -> str:
    more = len(lines) - MOST_LINES
    shown = [one_line(line) for line in lines[:MOST_LINES]]
    return "\n".join([*shown, *([f"… and {more} more"] if more > 0 else [])])
