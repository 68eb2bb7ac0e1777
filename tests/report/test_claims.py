"""Verdicts of a study: reported figures against measured ones, and every kind of check."""

from pathlib import Path

import pytest
from made_up_sweeps import lr_study

from dlhw.errors import UserError
from dlhw.report.claims import KINDS, judge_claims
from dlhw.report.contents import Row, Run
from dlhw.report.reading import read_report
from dlhw.report.settings import setting
from dlhw.report.verdicts import judge_figure, within

M = "test/accuracy"
LOSS = "train/loss"


def row(name, values, metric=M, status="finished", error="", queued=()):
    table, _, label = name.partition("/")
    runs = [
        Run(Path(f"{name}-{i}"), f"{label},seed={i}", status, [], {"seed": i}, {metric: v}, {}, {}, error)
        for i, v in enumerate(values)
    ]
    runs += [Run(Path(f"{name}-{i}"), label, "queued", [], {"seed": i}, {}, {}, {}) for i in queued]
    return Row(table, label, setting({}, runs) if runs else None, {}, {}, "not judged")


def judged(check, rows, noise=None):
    (claim,) = judge_claims({"noise": noise or {}, "claims": [{"says": "so", "checks": [check]}]}, rows)
    assert claim.says == "so"
    return claim


# Seeds 0.02 apart: sd 0.01414, variance of the mean 0.0001, margin of two rows 2 * sqrt(0.0002) = 0.0283.
LOW, MID, HIGH = (0.49, 0.51), (0.51, 0.53), (0.59, 0.61)


def rows_of(*values, metric=M):
    return [row(f"t/{label}", value, metric) for label, value in zip("abcd", values, strict=False)]


HOLDS, NOT, NOISE, UNJUDGED = "holds", "does not hold", "within seed noise", "not judged"


@pytest.mark.parametrize(
    ("check", "rows", "verdict"),
    [
        ({"rises": "t", "metric": M}, rows_of(LOW, MID, HIGH), HOLDS),
        ({"rises": "t", "metric": M}, rows_of(LOW, HIGH, MID), NOT),  # a step down by 0.08
        ({"rises": "t", "metric": M}, rows_of(MID, LOW, HIGH), HOLDS),  # a step down by 0.02 is noise
        ({"rises": "t", "metric": M}, rows_of(LOW, MID), NOISE),
        ({"rises": "t", "metric": M}, rows_of(HIGH, LOW), NOT),
        ({"rises": "t", "metric": M, "from": "b"}, rows_of(HIGH, LOW, HIGH), HOLDS),
        ({"rises": "t", "metric": M, "to": "b"}, rows_of(LOW, HIGH, LOW), HOLDS),
        ({"rises": "t", "metric": M, "from": "x"}, rows_of(LOW, HIGH), UNJUDGED),
        ({"rises": "other", "metric": M}, rows_of(LOW, HIGH), UNJUDGED),
        ({"falls": "t", "metric": LOSS}, rows_of(HIGH, LOW, metric=LOSS), HOLDS),
        ({"falls": "t", "metric": LOSS}, rows_of(LOW, HIGH, metric=LOSS), NOT),
        ({"falls": "t", "metric": LOSS}, rows_of(MID, LOW, metric=LOSS), NOISE),
        ({"best": "t/c", "metric": M}, rows_of(LOW, MID, HIGH), HOLDS),
        ({"best": "t/a", "metric": M}, rows_of(LOW, MID, HIGH), NOT),
        ({"best": "t/b", "metric": M}, rows_of(LOW, MID), NOISE),
        ({"best": "t/b", "metric": M, "among": ["t/a", "t/b", "t/d"]}, rows_of(LOW, HIGH, HIGH, LOW), HOLDS),
        ({"best": "t/a", "metric": LOSS}, rows_of(LOW, HIGH, metric=LOSS), HOLDS),  # the smallest loss is best
        ({"best": "t/a", "metric": M}, [*rows_of(HIGH), row("t/b", (), queued=[0])], UNJUDGED),
        ({"best": "t/a", "metric": M}, [*rows_of(HIGH), row("t/b", [0], LOSS, "failed")], HOLDS),
        ({"worst": "t/a", "metric": M}, rows_of(LOW, HIGH), HOLDS),
        ({"worst": "t/a", "metric": M}, rows_of(HIGH, LOW), NOT),
        ({"worst": "t/a", "metric": M}, rows_of(LOW, MID), NOISE),
        ({"order": ["t/c", "t/a"], "metric": M}, rows_of(LOW, MID, HIGH), HOLDS),
        ({"order": ["t/c", "t/b", "t/a"], "metric": M}, rows_of(LOW, MID, HIGH), NOISE),  # b over a by 0.02
        ({"order": ["t/a", "t/c"], "metric": M}, rows_of(LOW, MID, HIGH), NOT),
        ({"alike": ["t/a", "t/b"], "metric": M, "within": 0.02}, rows_of(LOW, MID), HOLDS),
        ({"alike": ["t/a", "t/b"], "metric": M, "within": 0.01}, rows_of(LOW, MID), NOISE),
        ({"alike": ["t/a", "t/b", "t/c"], "metric": M, "within": 0.02}, rows_of(LOW, MID, HIGH), NOT),
        ({"differ": ["t/b", "t/a"], "metric": M, "by": 0.1, "within": 0.01}, rows_of(LOW, HIGH), HOLDS),
        ({"differ": ["t/b", "t/a"], "metric": M, "by": 0.08, "within": 0.01}, rows_of(LOW, HIGH), NOISE),
        ({"differ": ["t/a", "t/b"], "metric": M, "by": 0.1, "within": 0.01}, rows_of(LOW, HIGH), NOT),
        ({"fails": "t/a"}, [row("t/a", [0, 0], status="failed", error="the training loss is nan")], HOLDS),
        ({"fails": "t/a"}, [row("t/a", [0], status="failed", error="data/ is missing")], UNJUDGED),
        ({"fails": "t/a"}, rows_of(LOW), NOT),
        ({"fails": "t/a"}, [row("t/a", (), queued=[0])], UNJUDGED),
        ({"learns_nothing": "t/a", "metric": M, "baseline": 0.5, "within": 0.05}, rows_of(LOW), HOLDS),
        ({"learns_nothing": "t/a", "metric": M, "baseline": 0.5, "within": 0.05}, rows_of(HIGH), NOT),
        ({"learns_nothing": "t/a", "metric": M, "baseline": 0.5, "within": 0.02}, rows_of(MID), NOISE),
        ({"spread": "t/a", "metric": M, "within": 0.02}, rows_of(LOW), HOLDS),
        ({"spread": "t/a", "metric": M, "within": 0.01}, rows_of(LOW), NOT),
        ({"spread": "t/a", "metric": M, "within": 0.01}, rows_of((0.5, 0.5)), NOT),
        ({"spread": "t/a", "metric": M, "within": 0.01}, rows_of((0.5,)), UNJUDGED),
        ({"needs": "a CUDA device"}, [], UNJUDGED),
    ],
)  # fmt: skip
def test_checks(check, rows, verdict):
    assert judged(check, rows).verdict == verdict


def test_the_evidence_holds_the_figures():
    found = judged({"best": "t/b", "metric": M}, rows_of(LOW, HIGH))
    assert found.evidence == "test/accuracy: t/b 0.6 against t/a 0.5 (margin 0.028)"
    found = judged({"rises": "t", "metric": M}, rows_of(LOW, MID, HIGH))
    assert found.evidence == "test/accuracy along t, a to c: 0.5, 0.52, 0.6 (margin 0.028)"
    assert judged({"needs": "a CUDA device"}, []).evidence == "needs a CUDA device"
    missing = judged({"best": "t/a", "metric": M}, [*rows_of(HIGH), row("t/b", (), queued=[0])])
    assert missing.evidence == "t/b has no test/accuracy (queued)"


@pytest.mark.parametrize(("sd", "verdict"), [(0.02, HOLDS), (0.04, NOISE), (None, HOLDS)])
def test_a_single_seed_is_judged_by_the_noise_that_the_study_states(sd, verdict):
    """A difference of 0.1; the margin is 2 * sqrt(2) * sd."""
    found = judged({"order": ["t/b", "t/a"], "metric": M}, rows_of([0.5], [0.6]), {M: sd} if sd else None)
    assert found.verdict == verdict
    assert ("seed noise unknown" in found.evidence) == (sd is None)


def test_a_claim_is_as_good_as_its_worst_check():
    rows = rows_of(LOW, MID, HIGH)
    good, noise = {"best": "t/c", "metric": M}, {"order": ["t/b", "t/a"], "metric": M}
    bad, unjudged = {"best": "t/a", "metric": M}, {"needs": "a GPU"}
    for checks, verdict in (
        ([good], HOLDS), ([good, noise], NOISE), ([noise, unjudged], UNJUDGED), ([unjudged, bad, good], NOT),
        ([], UNJUDGED),
    ):  # fmt: skip
        (claim,) = judge_claims({"claims": [{"says": "so", "checks": checks}]}, rows)
        assert claim.verdict == verdict


def test_a_check_of_no_kind_is_refused():
    with pytest.raises(UserError, match=r"check bests: is one of rises.*did you mean best\?"):
        judged({"bests": "t/a"}, [])
    with pytest.raises(UserError, match="check best: t/a: needs metric"):
        judged({"best": "t/a"}, rows_of(LOW))


def test_every_kind_is_checked_here():
    told = test_checks.pytestmark[0].args[1]
    assert {next(iter(check)) for check, _, _ in told} == set(KINDS)


@pytest.mark.parametrize(
    ("measured", "tolerance", "agrees"),
    [
        (0.90, 0.01, True), (0.89, 0.01, True), (0.8899, 0.01, False), (0.91, 0.01, True),
        (0.72, "20%", True), (0.719, "20%", False), (1.8, "x2", True), (0.45, "x2", True), (0.44, "x2", False),
        (-0.9, "x2", False),
    ],
)  # fmt: skip
def test_tolerances(measured, tolerance, agrees):
    assert within(measured, 0.9, tolerance) == agrees


def test_a_tolerance_that_is_none_is_refused():
    with pytest.raises(UserError, match="tolerance: wide: is a number, a percentage such as 25%, or a factor"):
        within(1.0, 1.0, "wide")


def test_two_standard_deviations_are_allowed_if_that_is_more():
    found = row("t/a", (0.85, 0.95)).setting  # mean 0.9, sd 0.0707
    assert judge_figure(M, 0.76, found, 0.01) == "agrees"
    assert judge_figure(M, 0.75, found, 0.01) == "differs"
    assert judge_figure(M, 0.75, found, None) == "not judged"
    assert judge_figure(LOSS, 0.75, found, 0.01) == "not judged"
    assert judge_figure(M, 0.75, None, 0.01) == "not run"


MEASURED = {0.0001: [0.86], 0.001: [0.89], 0.01: []}


def test_rows_of_a_study(tmp_path):
    report = read_report([lr_study(tmp_path / "study", MEASURED, [0.8624, 0.8920, 0.9])])
    assert [(row.label, row.verdict) for row in report.rows] == [
        ("0.0001", "agrees"), ("0.001", "agrees"), ("0.01", "not run"),
    ]  # fmt: skip
    assert report.rows[0].setting is report.settings[0]
    assert (report.title, report.question) == ("LeNet-5 on clothes", "Which rate?")
    assert report.notes[:2] == ["Source: report 004.", "Xavier is inferred."]
    assert "test/accuracy 0.01" in report.notes[2]
    assert "test/accuracy 0.0025" in report.notes[3]


def test_a_wrong_reported_figure_makes_its_row_differ(tmp_path):
    report = read_report([lr_study(tmp_path / "study", MEASURED, [0.8624, 0.9920, None])])
    assert [row.verdict for row in report.rows] == ["agrees", "differs", "not run"]
    assert report.rows[1].verdicts == {M: "differs"}
    assert report.rows[2].reported == {}


def test_a_quick_look_judges_nothing(tmp_path):
    claims = [{"says": "so", "checks": [{"best": "learning_rate/0.001", "metric": M}]}]
    report = read_report([lr_study(tmp_path / "study", MEASURED, [0.5, 0.5, 0.5], limit=2, claims=claims)])
    assert {row.verdict for row in report.rows} == {"not judged", "not run"}
    assert report.claims[0].verdict == "not judged"


def test_rows_written_out_have_notes_curves_and_tolerances_of_their_own(tmp_path):
    told = {"label": 0.001, "set": ["optimizer.lr=0.001"], "reported": {M: 0.8}, "note": "by eye",
            "tolerance": {M: 0.1}, "curves": {M: [0.5, None, 0.8]}}  # fmt: skip
    tables = {"learning_rate": {"rows": [told]}}
    (found,) = read_report([lr_study(tmp_path / "study", MEASURED, [], tables=tables)]).rows
    assert (found.label, found.verdict, found.note) == ("0.001", "agrees", "by eye")
    assert found.curves[M][::2] == [0.5, 0.8]


def test_tables_left_out_by_only_are_no_rows(tmp_path):
    assert read_report([lr_study(tmp_path / "study", MEASURED, [], only=["other"])]).rows == []


def test_a_row_that_diverged_bears_out_its_claim(tmp_path):
    claims = [{"says": "0.01 diverges", "checks": [{"fails": "learning_rate/0.01"}]}]
    failed = {0.01: "epoch 1, step 3: the training loss is nan"}
    report = read_report([lr_study(tmp_path / "study", MEASURED, [], failed, claims=claims)])
    assert [(claim.verdict, claim.evidence) for claim in report.claims] == [
        ("holds", "learning_rate/0.01: epoch 1, step 3: the training loss is nan")
    ]
