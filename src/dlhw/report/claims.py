"""A study's claims: what a source says of its results, and whether the runs bear it out."""

import math
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

from dlhw.errors import UserError
from dlhw.report.contents import Claim, Estimate, Row, Setting
from dlhw.report.stats import smaller_is_better

Judged = tuple[str, str]  # a verdict and its evidence
WORST_FIRST = ("does not hold", "not judged", "within seed noise", "holds")


class NotMeasured(Exception):
    """A figure that a check needs is not there; the message names it."""


class Figures:
    """The measured figures of a study's rows, by `table/label`."""

    def __init__(self, rows: Sequence[Row], noise: dict[str, float]) -> None:
        self.rows = {f"{row.table}/{row.label}": row for row in rows}
        self.noise = noise

    def row(self, name: Any) -> Row:
        if str(name) not in self.rows:
            raise NotMeasured(f"{name} is not among the rows")
        return self.rows[str(name)]

    def table(self, name: str) -> list[str]:
        found = [key for key, row in self.rows.items() if row.table == name]
        if not found:
            raise NotMeasured(f"the table {name} was not run")
        return found

    def of(self, name: Any, metric: str) -> Estimate:
        setting = self.row(name).setting
        if setting is None or metric not in setting.figures:
            raise NotMeasured(f"{name} has no {metric} ({state(setting)})")
        return setting.figures[metric]

    def variance(self, name: Any, metric: str) -> float | None:
        """Of the mean; None where neither seeds nor the study tell the noise."""
        figure = self.of(name, metric)
        sd = figure.sd if figure.sd is not None else self.noise.get(metric)
        return None if sd is None else sd**2 / figure.n

    def margin(self, a: Any, b: Any, metric: str) -> tuple[float, str]:
        """The difference of a and b that seeds make, and it in words."""
        variances = [self.variance(name, metric) for name in (a, b)]
        size = 2 * math.sqrt(sum(variance or 0.0 for variance in variances))
        return size, "seed noise unknown" if None in variances else f"margin {size:.2g}"


def state(setting: Setting | None) -> str:
    return "not run" if setting is None else ", ".join(dict.fromkeys(run.status for run in setting.runs))


def all_failed(row: Row) -> bool:
    return row.setting is not None and all(run.status == "failed" for run in row.setting.runs)


def judge_claims(study: dict[str, Any], rows: Sequence[Row]) -> list[Claim]:
    figures = Figures(rows, {metric: float(sd) for metric, sd in (study.get("noise") or {}).items()})
    claims = []
    for told in study.get("claims") or []:
        checks = told.get("checks") or []
        judged = [("not judged", "a quick look judges nothing")] if study.get("limit") else []
        judged = judged or [judge(check, figures) for check in checks] or [("not judged", "no check")]
        evidence = "; ".join(dict.fromkeys(words for _, words in judged))
        claims.append(Claim(str(told.get("says")), worst(verdict for verdict, _ in judged), evidence))  # type: ignore[arg-type]
    return claims


def worst(verdicts: Iterable[str]) -> str:
    return min(verdicts, key=WORST_FIRST.index)


def judge(check: dict[str, Any], figures: Figures) -> Judged:
    """One check. Raises UserError for one of no known kind, or without what its kind needs."""
    kind = next((key for key in KINDS if key in check), None)
    if kind is None:
        word = next(iter(check), "")
        near = get_close_matches(str(word), KINDS, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f"a claim's check {word}: is one of {', '.join(KINDS)}{meant}")
    try:
        return KINDS[kind](check, figures)
    except NotMeasured as missing:
        return "not judged", str(missing)
    except KeyError as missing:
        raise UserError(f"a claim's check {kind}: {check[kind]}: needs {missing.args[0]}") from None


def compared(difference: float, margin: float) -> str:
    """difference: positive the way the claim has it."""
    if abs(difference) <= margin:
        return "within seed noise"
    return "holds" if difference > 0 else "does not hold"


def goes(up: int) -> Callable[[dict[str, Any], Figures], Judged]:
    def check_trend(check: dict[str, Any], figures: Figures) -> Judged:
        table, metric = check["rises" if up > 0 else "falls"], check["metric"]
        names = span(figures.table(table), check)
        means = [figures.of(name, metric).mean for name in names]
        steps = [
            compared(up * (figures.of(b, metric).mean - figures.of(a, metric).mean), figures.margin(a, b, metric)[0])
            for a, b in pairwise(names)
        ]
        margin, words = figures.margin(names[0], names[-1], metric)
        ends = compared(up * (means[-1] - means[0]), margin)
        verdict = "does not hold" if "does not hold" in steps else ends
        shown = ", ".join(f"{mean:.4g}" for mean in means)
        return verdict, f"{metric} along {table}, {label(names[0])} to {label(names[-1])}: {shown} ({words})"

    return check_trend


def span(names: list[str], check: dict[str, Any]) -> list[str]:
    """The part of a table from the row `from` to the row `to`."""
    labels = [label(name) for name in names]
    for end in ("from", "to"):
        if end in check and str(check[end]) not in labels:
            raise NotMeasured(f"{check[end]} is not among the rows {', '.join(labels)}")
    first = labels.index(str(check["from"])) if "from" in check else 0
    last = labels.index(str(check["to"])) if "to" in check else len(names) - 1
    if last <= first:
        raise NotMeasured(f"{labels[first]} to {labels[last]} is no span of rows")
    return names[first : last + 1]


def label(name: Any) -> str:
    return str(name).partition("/")[2]


def extreme(kind: str) -> Callable[[dict[str, Any], Figures], Judged]:
    def check_extreme(check: dict[str, Any], figures: Figures) -> Judged:
        row, metric = check[kind], check["metric"]
        others = [str(name) for name in check.get("among") or figures.table(figures.row(row).table)]
        others = [name for name in others if name != str(row)]
        failed = [name for name in others if kind == "best" and all_failed(figures.row(name))]
        pairs = [(row, name) if kind == "best" else (name, row) for name in others if name not in failed]
        judged = [better(a, b, metric, figures) for a, b in pairs] or [("holds", f"{row} has no rival")]
        return combined([*judged, *[("holds", f"{name} failed") for name in failed]], metric)

    return check_extreme


def check_order(check: dict[str, Any], figures: Figures) -> Judged:
    names, metric = check["order"], check["metric"]
    return combined([better(a, b, metric, figures) for a, b in pairwise(names)], metric)


def better(a: Any, b: Any, metric: str, figures: Figures) -> Judged:
    """Whether a does better than b."""
    first, second = figures.of(a, metric).mean, figures.of(b, metric).mean
    margin, words = figures.margin(a, b, metric)
    sign = -1 if smaller_is_better(metric) else 1
    return compared(sign * (first - second), margin), f"{a} {first:.4g} against {b} {second:.4g} ({words})"


def combined(judged: Sequence[Judged], metric: str) -> Judged:
    """The worst verdict, with the evidence of those that gave it."""
    verdict = worst(verdict for verdict, _ in judged)
    return verdict, f"{metric}: " + "; ".join(words for given, words in judged if given == verdict)


def tolerated(off: float, allowed: float, margin: float) -> str:
    """Whether a figure keeps within what is allowed, or leaves it by more than seed noise."""
    if off <= allowed + 1e-12:
        return "holds"
    return "does not hold" if off - allowed > margin else "within seed noise"


def check_alike(check: dict[str, Any], figures: Figures) -> Judged:
    names, metric, allowed = check["alike"], check["metric"], float(check["within"])
    means = {name: figures.of(name, metric).mean for name in names}
    low, high = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    margin, words = figures.margin(high, low, metric)
    apart = means[high] - means[low]
    shown = ", ".join(f"{name} {mean:.4g}" for name, mean in means.items())
    return tolerated(apart, allowed, margin), f"{metric}: {shown}; apart {apart:.2g}, allowed {allowed:g} ({words})"


def check_differ(check: dict[str, Any], figures: Figures) -> Judged:
    (a, b), metric, by, allowed = check["differ"], check["metric"], float(check["by"]), float(check["within"])
    difference = figures.of(a, metric).mean - figures.of(b, metric).mean
    margin, words = figures.margin(a, b, metric)
    said = f"{metric}: {a} minus {b} is {difference:.4g}, said to be {by:g} give or take {allowed:g} ({words})"
    return tolerated(abs(difference - by), allowed, margin), said


def check_fails(check: dict[str, Any], figures: Figures) -> Judged:
    row = figures.row(check["fails"])
    runs = row.setting.runs if row.setting else []
    if not runs or any(run.status in ("queued", "running", "interrupted") for run in runs):
        return "not judged", f"{check['fails']}: {state(row.setting)}"
    done = [run.label for run in runs if run.status == "finished"]
    if done:
        return "does not hold", f"{check['fails']}: {len(done)} of {len(runs)} runs finished"
    diverged = all("loss is" in run.error for run in runs)
    verdict = "holds" if diverged else "not judged"  # a data set that is missing is no evidence
    return verdict, f"{check['fails']}: {runs[0].error or 'failed'}"


def check_learns_nothing(check: dict[str, Any], figures: Figures) -> Judged:
    name, metric = check["learns_nothing"], check["metric"]
    baseline, allowed = float(check["baseline"]), float(check["within"])
    figure = figures.of(name, metric)
    furthest = max(figure.values, key=lambda value: abs(value - baseline))
    margin = 2 * math.sqrt(figures.variance(name, metric) or 0.0)
    said = f"{name}: {metric} {furthest:.4g}, where {baseline:g} give or take {allowed:g} is no learning"
    if abs(furthest - baseline) <= allowed + 1e-12:
        return "holds", said
    return tolerated(abs(figure.mean - baseline), allowed, margin).replace("holds", "within seed noise"), said


def check_spread(check: dict[str, Any], figures: Figures) -> Judged:
    name, metric, allowed = check["spread"], check["metric"], float(check["within"])
    values = figures.of(name, metric).values
    if len(values) < 2:
        return "not judged", f"{name}: one seed has no spread"
    apart = max(values) - min(values)
    differ = len(set(values)) == len(values)
    same = "" if differ else ", some of them equal"
    seen = f"{min(values):.4g} to {max(values):.4g}{same}"
    verdict = "holds" if differ and apart <= allowed + 1e-12 else "does not hold"
    return verdict, f"{name}: {metric} of {len(values)} seeds from {seen}; allowed {allowed:g}"


def check_needs(check: dict[str, Any], figures: Figures) -> Judged:
    return "not judged", f"needs {check['needs']}"


KINDS: dict[str, Callable[[dict[str, Any], Figures], Judged]] = {
    "rises": goes(1),
    "falls": goes(-1),
    "best": extreme("best"),
    "worst": extreme("worst"),
    "order": check_order,
    "alike": check_alike,
    "differ": check_differ,
    "fails": check_fails,
    "learns_nothing": check_learns_nothing,
    "spread": check_spread,
    "needs": check_needs,
}
