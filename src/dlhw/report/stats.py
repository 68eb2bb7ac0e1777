"""Means over seeds, and whether two settings differ by more than seeds do."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dlhw.report.contents import Comparison, Estimate, Run, Setting

SMALLER_IS_BETTER = ("loss", "mse", "rmse", "mae", "seconds", "gap", "first_below")
SIGNIFICANT = 0.05
MOST_COMPARED = 30  # settings


def smaller_is_better(metric: str) -> bool:
    return metric.rpartition("/")[2] in SMALLER_IS_BETTER


def estimate(values: Sequence[float]) -> Estimate:
    """values: at least one, finite, one a seed."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Estimate(float(np.mean(values)), sd, tuple(map(float, values)))


def by_seed(runs: Sequence[Run], metric: str) -> dict[int, float]:
    """A figure of the finished runs. Of runs that repeat a seed the last counts: they are no two samples."""
    return {run.seed: run.figures[metric] for run in runs if run.status == "finished" and metric in run.figures}


def compare_best(settings: Sequence[Setting], metric: str, chosen: Setting | None = None) -> list[Comparison]:
    """The chosen setting against each other one, nearest first; p-values with Holm's correction.

    chosen: on validation data. Without it the one that is best in the metric, though the metric then chooses itself.
    """
    measured = [setting for setting in settings if metric in setting.figures]
    if not measured:
        return []

    def badness(setting: Setting) -> float:
        mean = setting.figures[metric].mean
        return mean if smaller_is_better(metric) else -mean

    one = chosen if chosen is not None and metric in chosen.figures else min(measured, key=badness)
    others = [setting for setting in measured if setting is not one]
    others.sort(key=lambda other: abs(badness(other) - badness(one)))
    pairs = [sorted((one, other), key=badness) for other in others[: MOST_COMPARED - 1]]
    return corrected([compare(better, worse, metric) for better, worse in pairs])


def compare(a: Setting, b: Setting, metric: str) -> Comparison:
    """a is the one that does better. Both have the metric."""
    values_a, values_b = by_seed(a.runs, metric), by_seed(b.runs, metric)
    paired = values_a.keys() == values_b.keys() and len(values_a) > 1
    if paired:
        p: float | None = paired_p([values_a[seed] - values_b[seed] for seed in values_a])
    elif min(len(values_a), len(values_b)) > 1:
        p = welch_p(list(values_a.values()), list(values_b.values()))
    else:
        p = None
    difference = a.figures[metric].mean - b.figures[metric].mean
    return told(Comparison(metric, a, b, difference, p, paired, ""), 1)


def paired_p(differences: Sequence[float]) -> float:
    """Two-sided, of Student's t test on the differences; 0 or 1 where they are all the same."""
    n, mean = len(differences), float(np.mean(differences))
    error = float(np.std(differences, ddof=1)) / math.sqrt(n)
    if error <= 1e-12 * max(map(abs, differences)):
        return float(mean == 0)
    from scipy import stats  # half a second, for those who compare

    return float(2 * stats.t.sf(abs(mean) / error, n - 1))


def welch_p(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided, of Welch's t test; 0 or 1 where each side has one value alone."""
    means, sds = [float(np.mean(side)) for side in (a, b)], [float(np.std(side, ddof=1)) for side in (a, b)]
    if max(sds) <= 1e-12 * max(map(abs, means)):
        return float(math.isclose(*means, rel_tol=1e-12))
    from scipy import stats

    test = stats.ttest_ind_from_stats(means[0], sds[0], len(a), means[1], sds[1], len(b), equal_var=False)
    return float(test.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction, in the order given."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    tested = [comparison.p for comparison in comparisons if comparison.p is not None]
    p_values = iter(holm(tested))
    new = [c if c.p is None else replace(c, p=next(p_values)) for c in comparisons]
    return [told(comparison, len(tested)) for comparison in new]


def told(comparison: Comparison, family: int) -> Comparison:
    """The comparison with its sentence. family: how many tests its p-value is corrected for."""
    a, b, metric = comparison.a, comparison.b, comparison.metric
    by = "the same as" if comparison.difference == 0 else "over"
    much = "" if comparison.difference == 0 else f" by {abs(comparison.difference):.4g}"
    return replace(comparison, says=f"{a.label} {by} {b.label}{much} in {metric}: {verdict(comparison, family)}")


def verdict(comparison: Comparison, family: int) -> str:
    n = [comparison.a.figures[comparison.metric].n, comparison.b.figures[comparison.metric].n]
    if comparison.p is None:
        who = "one seed each" if max(n) == 1 else "one seed on a side"
        return f"{who}: no statement about seed noise"
    test = f"paired t test over {n[0]} seeds" if comparison.paired else f"Welch's t test, {n[0]} and {n[1]} seeds"
    holm = f", Holm-corrected for {family} comparisons" if family > 1 else ""
    how = f"({test}, {p_shown(comparison.p)}{holm})"
    if comparison.p < SIGNIFICANT:
        return f"more than seed noise {how}"
    return f"within seed noise {how}: not a finding"


def p_shown(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.1g}" if p < 0.1 else f"p = {p:.2g}"
