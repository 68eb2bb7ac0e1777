"""Means over seeds and tests, against scipy and by hand."""

import math
from pathlib import Path

import pytest
from scipy import stats as oracle

from dlhw.report import stats
from dlhw.report.contents import Run
from dlhw.report.settings import setting

METRIC = "test/accuracy"
A, B = (0.9123, 0.9087, 0.9201, 0.9154), (0.9042, 0.9051, 0.9098, 0.9110)


def made(lr, values, seeds=None, status="finished"):
    runs = [
        Run(Path(f"{lr}-{seed}"), "", status, [], {"seed": seed}, {METRIC: value}, {}, {})
        for seed, value in zip(seeds or range(len(values)), values, strict=True)
    ]
    return setting({"optimizer.lr": lr}, runs)


def test_estimate_by_hand():
    assert stats.estimate([0.5, 0.75, 1.0]) == (found := stats.estimate([0.5, 0.75, 1.0]))
    assert (found.mean, found.sd, found.n) == (0.75, 0.25, 3)
    assert stats.estimate([0.5]).sd is None


def test_same_seeds_are_paired():
    found = stats.compare(made(0.001, A), made(0.01, B), METRIC)
    assert found.paired
    assert found.p == pytest.approx(oracle.ttest_rel(A, B).pvalue, rel=1e-12)
    assert found.difference == pytest.approx(sum(A) / 4 - sum(B) / 4)


def test_seeds_in_another_order_are_paired_by_seed():
    found = stats.compare(made(0.001, A), made(0.01, B[::-1], seeds=(3, 2, 1, 0)), METRIC)
    assert found.p == pytest.approx(oracle.ttest_rel(A, B).pvalue, rel=1e-12)


@pytest.mark.parametrize("other", [(B, (4, 5, 6, 7)), (B[:3], (0, 1, 2))], ids=["other seeds", "fewer seeds"])
def test_other_seeds_are_compared_by_welch(other):
    values, seeds = other
    found = stats.compare(made(0.001, A), made(0.01, values, seeds), METRIC)
    assert not found.paired
    assert found.p == pytest.approx(oracle.ttest_ind(A, values, equal_var=False).pvalue, rel=1e-12)
    assert f"Welch's t test, 4 and {len(values)} seeds" in found.says


def test_paired_by_hand():
    """Differences 1, 2, 3: t = 2 / (1 / sqrt(3)). Of two degrees of freedom P(|T| > t) is 1 - t / sqrt(2 + t²)."""
    t = 2 * math.sqrt(3)
    assert stats.paired_p([1.0, 2.0, 3.0]) == pytest.approx(1 - t / math.sqrt(2 + t**2), rel=1e-12)


@pytest.mark.parametrize(("a", "b", "words"), [((0.9,), (0.8,), "one seed each"), (A, (0.8,), "one seed on a side")])
def test_one_seed_makes_no_statement(a, b, words):
    found = stats.compare(made(0.001, a), made(0.01, b), METRIC)
    assert found.p is None
    assert found.says.endswith(f"in test/accuracy: {words}: no statement about seed noise")


@pytest.mark.parametrize("seeds", [(0, 1, 2), (3, 4, 5)], ids=["paired", "Welch"])
@pytest.mark.parametrize(("a", "b", "p"), [(0.9, 0.9, 1.0), (0.9, 0.8, 0.0), (0.0, 0.0, 1.0)])
def test_values_that_are_all_the_same_neither_warn_nor_say_nan(a, b, p, seeds):
    found = stats.compare(made(0.001, [a] * 3), made(0.01, [b] * 3, seeds), METRIC)
    assert found.p == p
    assert "nan" not in found.says
    assert ("the same as" in found.says) == (a == b)


@pytest.mark.filterwarnings("error")
def test_one_side_without_spread():
    found = stats.compare(made(0.001, [0.9] * 3), made(0.01, B, (4, 5, 6, 7)), METRIC)
    assert found.p == pytest.approx(oracle.ttest_1samp(B, 0.9).pvalue, rel=1e-9)  # Welch's degrees are then n - 1


def test_holm_by_hand():
    assert stats.holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert stats.holm([0.6, 0.7]) == [1.0, 1.0]
    assert stats.holm([]) == []


def test_what_is_said():
    """Over three seeds a difference of 0.1 stands out of a noise of 0.001, one of 0.0001 does not."""
    best, near, far = ([x + shift for x in (0.901, 0.902, 0.9025)] for shift in (0.0, 0.0, -0.1))
    near = [near[0] + 0.001, near[1] - 0.001, near[2] - 0.0003]
    far = [far[0] + 0.001, far[1], far[2] - 0.001]
    first, second = stats.compare_best([made(0.1, far), made(0.01, near), made(0.001, best)], METRIC)
    p_near, p_far = oracle.ttest_rel(best, near).pvalue, oracle.ttest_rel(best, far).pvalue
    assert (first.p, second.p) == pytest.approx((max(p_near, 2 * p_far), 2 * p_far), rel=1e-9)
    assert first.says.startswith("lr=0.001 over lr=0.01 by 0.0001 in test/accuracy: within seed noise (paired t test")
    assert first.says.endswith("Holm-corrected for 2 comparisons): not a finding")
    assert second.says.startswith("lr=0.001 over lr=0.1 by 0.1 in test/accuracy: more than seed noise (paired t test")
    assert "over 3 seeds, p < 0.001" in second.says


def test_of_a_loss_the_smallest_is_best():
    settings = [setting(s.values, [_renamed(r) for r in s.runs]) for s in (made(0.1, A), made(0.01, B))]
    (only,) = stats.compare_best(settings, "test/loss")
    assert only.a.values == {"optimizer.lr": 0.01}
    assert only.says.startswith("lr=0.01 over lr=0.1 by 0.006")


def _renamed(run):
    return Run(run.folder, "", run.status, [], run.config, {"test/loss": run.figures[METRIC]}, {}, {})


def test_thirty_settings_are_compared_at_most():
    found = stats.compare_best([made(i, [i / 100]) for i in range(50)], METRIC)
    assert len(found) == 29
    assert {comparison.a.values["optimizer.lr"] for comparison in found} == {49}


def test_a_repeated_seed_is_no_second_sample():
    found = made(0.1, (0.5, 0.75, 1.0), seeds=(0, 1, 1))
    assert found.figures[METRIC].values == (0.5, 1.0)


def test_unfinished_runs_do_not_count():
    assert made(0.1, A, status="failed").figures == {}
