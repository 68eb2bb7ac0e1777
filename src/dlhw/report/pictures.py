"""The pictures of a report."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice

from matplotlib.figure import Figure

from dlhw.report.contents import Report
from dlhw.report.pictures_by_key import draw_by_key
from dlhw.report.pictures_curves import MOST_COLOURS, draw_against_seconds, draw_curves
from dlhw.report.pictures_heat_map import draw_heat_map
from dlhw.report.pictures_study import draw_table, draw_table_curves

MOST_PICTURES, MOST_KEYS = 12, 6
MOST_ROWS = 5  # of a study's table, whose curves are drawn over each other


def draw_pictures(report: Report) -> Iterator[tuple[str, Figure]]:
    """What the report has data for: the stem of a file, and its figure. A study's tables are all drawn."""
    tables = list(dict.fromkeys(row.table for row in report.rows))
    drawn = ((stem, draw()) for stem, draw in _planned(report, tables).items())
    most = max(MOST_PICTURES, 2 * len(tables))
    yield from islice(((stem, figure) for stem, figure in drawn if figure is not None), most)


def _planned(report: Report, tables: list[str]) -> dict[str, Callable[[], Figure | None]]:
    """In a study each table stands for what it sweeps; elsewhere each key does."""
    plan: dict[str, Callable[[], Figure | None]] = {}
    for table in tables:
        plan[stem("table", table)] = partial(draw_table, report, table)
    for table in tables:
        plan[stem("curves", table)] = partial(draw_curves_of, report, table)
    for key in () if tables else report.keys[:MOST_KEYS]:
        plan[stem("by", key)] = partial(draw_by_key, report, key)
    if not tables:
        plan["heat_map"] = partial(draw_heat_map, report)
    if not tables or len(report.settings) <= MOST_COLOURS:  # a study's many lines could not be told apart
        plan["curves"] = partial(draw_curves, report)
    plan["metric_against_seconds"] = partial(draw_against_seconds, report)
    return plan


def draw_curves_of(report: Report, table: str) -> Figure | None:
    """A study's table by epoch: beside the source's own curves, else those of a few rows over each other."""
    of_table = [row for row in report.rows if row.table == table]
    rows = {row.label: row for row in of_table if row.setting is not None and row.setting.runs}
    if any(row.curves for row in rows.values()):
        return draw_table_curves(report, table)
    if not 1 < len(rows) <= MOST_ROWS:
        return None
    settings = [replace(row.setting, values={table: label}) for label, row in rows.items() if row.setting is not None]
    runs = [run for setting in settings for run in setting.runs]
    return draw_curves(replace(report, settings=settings, runs=runs, best=None, chosen_by=None))


def stem(kind: str, name: str) -> str:
    """The part of a file's name before the dot; what a file system could stumble over becomes `_`."""
    return f"{kind}_{re.sub(r'[^0-9A-Za-z_.=-]+', '_', name)}"
