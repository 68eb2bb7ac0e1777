"""Settings are compared with the one that validation data chose, whatever the test split says of the others."""

import json
from pathlib import Path

import pytest
import yaml

from dlhw.report.reading import read_report
from dlhw.report.tables import settings_table

VAL = {0.1: 0.9, 0.01: 0.8, 0.001: 0.7}
TEST = {0.1: 0.5, 0.01: 0.6, 0.001: 0.8}  # the other way round


def write_sweep(folder: Path, has_val: bool, duplicates: dict[str, int] | None = None) -> Path:
    entries = []
    for lr in VAL:
        run = folder / f"lr={lr}"
        (run / ".hydra").mkdir(parents=True)
        (run / ".hydra/config.yaml").write_text(yaml.safe_dump({"seed": 0, "optimizer": {"lr": lr}}))
        val = {"monitor": "val/accuracy (max)", "val/accuracy": VAL[lr]} if has_val else {"monitor": None}
        told = {"splits": duplicates or {}, "classes": 0, "example": None}
        (run / "results.json").write_text(json.dumps({**val, "test/accuracy": TEST[lr], "duplicates": told}))
        (run / "status.json").write_text('{"status": "finished"}')
        overrides = [f"optimizer.lr={lr}"]
        entries.append({"folder": run.name, "overrides": overrides, "values": {"optimizer.lr": lr}, "rows": []})
    head = {"kind": "sweep", "name": "rates", "command": "dlhw -m", "keys": ["optimizer.lr"], "study": None}
    (folder / "sweep.json").write_text(json.dumps({**head, "runs": entries}))
    return folder


@pytest.mark.parametrize("has_val", [True, False])
def test_who_is_compared_with_whom(has_val: bool) -> None:
    """Nearest first, and in each sentence the better one first."""
    report = read_report([write_sweep(Path("sweep"), has_val)])
    pairs = [(c.a.values["optimizer.lr"], c.b.values["optimizer.lr"]) for c in report.comparisons]
    favours = "The setting that others are compared with is the best in test/accuracy itself, which favours it."
    if has_val:
        assert report.best is report.settings[0]
        assert pairs == [(0.01, 0.1), (0.001, 0.1)]
    else:
        assert report.best is None
        assert pairs == [(0.001, 0.01), (0.001, 0.1)]
    assert (favours in report.notes) is not has_val
    assert settings_table(report).bold == (0 if has_val else None)


def test_duplicates_stand_in_the_notes() -> None:
    note = "Some images lie in more than one split: results.json counts them under duplicates."
    assert note not in read_report([write_sweep(Path("without"), True)]).notes
    assert note in read_report([write_sweep(Path("with"), True, {"train and test": 3})]).notes
