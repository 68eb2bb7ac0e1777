"""The display of a sweep follows the runs' own files."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from dlhw.sweep.watch import Watch, figures, in_words


@pytest.fixture
def lines() -> list[str]:
    """What the display tells while a test runs, in place of the console."""
    told: list[str] = []
    log = logging.getLogger("dlhw_sweep")

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    handler, level, propagate = Kept(), log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    yield told  # type: ignore[misc]
    log.removeHandler(handler)
    log.setLevel(level)
    log.propagate = propagate


def folder(place: Path, name: str, epochs: int = 4) -> Path:
    (place / name / ".hydra").mkdir(parents=True)
    (place / name / ".hydra" / "config.yaml").write_text(f"seed: 0\nepochs: {epochs}\n")
    return place / name


def says(run: Path, status: str, results: dict[str, Any] | None = None, **details: str) -> None:
    if results is not None:
        (run / "results.json").write_text(json.dumps(results))
    (run / "status.json").write_text(json.dumps({"status": status, **details}))


def accuracy(value: float, monitor: str = "val/accuracy (max)") -> dict[str, Any]:
    return {"monitor": monitor, "val/accuracy": value, "val/loss": value, "test/accuracy": 1 - value, "seconds": 2.0}


def test_each_end_is_told_once(tmp_path: Path, lines: list[str]) -> None:
    runs = [(name, folder(tmp_path, name)) for name in ("a", "b", "c")]
    with Watch(runs, 2) as watch:
        says(runs[0][1], "finished", accuracy(0.9))
        says(runs[1][1], "failed", error="it broke\nsomewhere")
        watch.look()
        watch.look()
        says(runs[2][1], "interrupted")
    assert len(lines) == 3
    assert lines[0].startswith("[1/3] a: val/accuracy 0.9, test/accuracy 0.1, 2.0 s of training; about ")
    assert lines[1].startswith("[2/3] b: failed: it broke; about ")
    assert lines[2] == "[3/3] c: interrupted"


def test_what_an_earlier_sitting_left_is_not_told(tmp_path: Path, lines: list[str]) -> None:
    run = folder(tmp_path, "a")
    says(run, "failed", error="of yesterday")
    with Watch([("a", run)], 1) as watch:
        watch.look()
        assert lines == []
        says(run, "finished", accuracy(0.9))
    assert len(lines) == 1
    assert "val/accuracy 0.9" in lines[0]


@pytest.mark.parametrize(
    ("monitor", "values", "best"),
    [
        ("val/accuracy (max)", (0.3, 0.8, 0.5), "b"),
        ("val/loss (min)", (0.3, 0.8, 0.2), "c"),
        ("val/accuracy (max)", (float("nan"), 0.1, 0.05), "b"),
    ],
)
def test_the_best_so_far(monitor: str, values: tuple[float, ...], best: str, tmp_path: Path, lines: list[str]) -> None:
    runs = [(name, folder(tmp_path, name)) for name in "abc"]
    with Watch(runs, 1) as watch:
        for (_, run), value in zip(runs, values, strict=True):
            says(run, "finished", accuracy(value, monitor))
            watch.look()
    assert watch.best is not None
    assert watch.best[2] == best
    assert f"({best})" in watch.best_so_far()


@pytest.mark.parametrize("monitor", ["test/accuracy (max)", None])
def test_nothing_is_best_by_the_test_split(monitor: str | None, tmp_path: Path, lines: list[str]) -> None:
    run = folder(tmp_path, "a")
    with Watch([("a", run)], 1) as watch:
        says(run, "finished", {**accuracy(0.5), "monitor": monitor})
    assert watch.best is None
    assert watch.best_so_far() == ""


def test_the_time_left_counts_epochs_of_running_runs(tmp_path: Path, lines: list[str]) -> None:
    runs = [(name, folder(tmp_path, name)) for name in "ab"]
    with Watch(runs, 2) as watch:
        assert watch.left() == ""  # nothing is known yet
        says(runs[0][1], "running")
        (runs[0][1] / "metrics.csv").write_text("epoch,step\n1,10\n2,20\n")
        assert watch.progress("a") == 0.5
        assert watch.progress("b") == 0.0
        watch.start -= 30  # half a run took 30 s, one and a half are left
        assert watch.left() == "; about 2 min left"


def test_files_that_are_half_written_wait_for_the_next_look(tmp_path: Path, lines: list[str]) -> None:
    run = folder(tmp_path, "a")
    with Watch([("a", run)], 1) as watch:
        (run / "status.json").write_text('{"status": "fini')
        (run / "metrics.csv").write_text("epoch,st")
        watch.look()
        assert watch.progress("a") == 0.0
        assert lines == []


def test_without_a_monitor_a_test_figure_is_shown() -> None:
    assert figures({"test/psnr": 21.5, "test/loss": 0.1}) == ["test/psnr 21.5"]
    assert figures({}) == []


@pytest.mark.parametrize(("seconds", "words"), [(3.4, "3 s"), (89, "89 s"), (120, "2 min"), (9000, "2.5 h")])
def test_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
