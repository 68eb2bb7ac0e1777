"""From folders to a report: what is found, how runs are told apart, what a damaged file costs."""

import json
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from made_up_sweeps import TESTED, accuracies, lr_sweep, write_run, write_sweep

from dlhw.errors import UserError
from dlhw.report.reading import read_report

pytestmark = pytest.mark.filterwarnings("error")


def values_of(report):
    return [setting.values for setting in report.settings]


def test_a_sweep(sweep):
    report = read_report([sweep])
    assert (report.kind, report.title, report.folder) == ("sweep", "fc_digits", sweep)
    assert report.keys == ["optimizer.lr"]
    assert values_of(report) == [{"optimizer.lr": lr} for lr in TESTED]
    assert [run.label for run in report.runs][:2] == ["lr=0.1,seed=0", "lr=0.1,seed=1"]
    assert [setting.figures["test/accuracy"].values for setting in report.settings] == list(TESTED.values())
    assert (report.metric, report.chosen_by) == ("test/accuracy", "val/accuracy")
    assert report.best is report.settings[1]
    assert report.commands == ["dlhw -m optimizer.lr=0.1,0.01 seed=0,1"]
    assert report.environment["torch"] == "2.11.0"
    assert report.environment["device"] == "cpu (AMD EPYC)"
    assert len(report.comparisons) == 2


def test_figures_of_a_run(sweep):
    figures = read_report([sweep]).runs[0].figures
    assert figures["gap"] == pytest.approx(0.96 - 0.5)
    assert figures["samples_per_second"] == 200.0
    assert "first_below" not in figures
    assert "test/class_accuracy" not in figures


def test_first_below_is_the_step(tmp_path):
    run = write_run(tmp_path / "run", figures={"loss_below": {"loss": 0.02, "step": 803}})
    assert read_report([run]).runs[0].figures["first_below"] == 803


def test_queued_and_failed_runs_stand_where_they_were_planned(tmp_path):
    runs = [
        {"values": {"optimizer.lr": 1.0, "seed": 1}, "status": "failed", "error": "the loss is nan", "traceback": "…"},
        {"values": {"optimizer.lr": 0.1, "seed": 2}, "queued": True},
        {"values": {"optimizer.lr": 0.1, "seed": 1}, "figures": accuracies(0.9, 0.9)},
    ]
    report = read_report([write_sweep(tmp_path / "sweep", ["optimizer.lr", "seed"], runs)])
    assert [run.status for run in report.runs] == ["failed", "queued", "finished"]
    assert [run.seed for run in report.runs] == [1, 2, 1]
    assert [run.label for run in report.failures] == ["lr=1.0,seed=1"]
    assert report.failures[0].error == "the loss is nan"
    assert report.best is report.settings[1]
    assert report.settings[1].figures["test/accuracy"].n == 1


def test_a_folder_above_holds_the_same_sweep(sweep, tmp_path):
    assert read_report([tmp_path / "outputs"]).kind == "sweep"
    assert read_report([sweep, sweep / "lr=0.1,seed=0-00000000", tmp_path]).kind == "sweep"


def test_sweeps_and_runs_together(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    alone = write_run(tmp_path / "outputs" / "runs" / "fc_digits" / "2026-01-02_03-04-05-678901", ["optimizer.lr=0.5"],
                      {"optimizer.lr": 0.5, "threads": 4, "plots": "none"}, accuracies(0.25, 0.25))  # fmt: skip
    report = read_report([alone, sweep, Path("outputs")])
    assert report.kind == "runs"
    assert report.title == "7 runs"
    assert report.keys == ["optimizer.lr"]
    assert values_of(report) == [{"optimizer.lr": lr} for lr in (0.5, *TESTED)]
    assert report.commands[0].startswith("dlhw -m")
    assert report.folder.parent == tmp_path / "outputs" / "reports"
    assert report.folder.name.startswith("lr=0.5,seed=0-")
    assert read_report([sweep, alone]).folder.name.rpartition("-")[2] == report.folder.name.rpartition("-")[2]


def test_two_sweeps_are_a_union(sweep, tmp_path):
    other = lr_sweep(tmp_path / "outputs" / "sweeps" / "other-00000000")
    report = read_report([sweep, other])
    assert (report.kind, len(report.runs), len(report.settings)) == ("runs", 12, 3)
    assert len({run.label for run in report.runs}) == 12
    assert report.settings[0].figures["test/accuracy"].n == 2
    assert "Some runs repeat a setting and its seed; the last of them counts." in report.notes


def test_one_run_alone(tmp_path):
    run = write_run(tmp_path / "fc_digits" / "2026-01-02_03-04-05-678901", figures=accuracies(0.9))
    report = read_report([run])
    assert (report.kind, report.title, report.keys, report.comparisons) == ("runs", "fc_digits", [], [])
    assert (report.best, report.chosen_by) == (None, None)


LENET = {"_target_": "dlhw.model.lenet5.LeNet5", "channels": [6, 16], "dropout": 0.5}
SGD = {"_target_": "torch.optim.SGD", "lr": 0.1}


def test_a_part_of_another_class_is_one_key(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", ["model=lenet5"], {"model": LENET})
    report = read_report([tmp_path])
    assert report.keys == ["model"]
    assert values_of(report) == [{"model": "FC"}, {"model": "lenet5"}]
    assert [run.label for run in report.runs] == ["model=FC", "model=lenet5"]


def test_keys_of_a_part_that_every_run_has_and_somebody_typed_stay(tmp_path):
    write_run(tmp_path / "a", ["optimizer=adam"])
    write_run(tmp_path / "b", ["optimizer=sgd"], {"optimizer": SGD})
    assert read_report([tmp_path]).keys == ["optimizer"]  # each class at its own default
    write_run(tmp_path / "c", ["optimizer=sgd", "optimizer.lr=0.5"], {"optimizer": {**SGD, "lr": 0.5}})
    report = read_report([tmp_path])
    assert report.keys == ["optimizer", "optimizer.lr"]
    assert values_of(report)[2] == {"optimizer": "sgd", "optimizer.lr": 0.5}


def test_lists_are_values(tmp_path):
    write_run(tmp_path / "a", config={"model.hidden": [64, 32]})
    write_run(tmp_path / "b", config={"model.hidden": [64]})
    assert values_of(read_report([tmp_path])) == [{"model.hidden": [64, 32]}, {"model.hidden": [64]}]


@pytest.mark.parametrize(
    ("figures", "metric"),
    [
        ({"test/miou": 0.7, "test/pixel_accuracy": 0.9}, "test/miou"),
        ({"test/psnr": 21.0, "test/mse": 0.01}, "test/psnr"),
        ({"test/mse": 0.01, "test/loss": 0.01}, "test/mse"),
        ({"test/miou": 0.7, "test/accuracy": 0.7, "monitor": "val/miou (max)"}, "test/miou"),
        ({"test/accuracy": 0.7, "test/loss": 0.7, "monitor": "val/loss (min)"}, "test/accuracy"),
    ],
)
def test_the_metric_of_a_task(tmp_path, figures, metric):
    write_run(tmp_path / "run", figures={"monitor": None, **figures})
    assert read_report([tmp_path]).metric == metric


def test_the_smallest_mean_loss_is_best(tmp_path):
    """The best single run (0.1) is of the setting with the worse mean."""
    losses = {0.1: (0.1, 0.9), 0.01: (0.3, 0.4)}
    runs = [
        {"values": {"optimizer.lr": lr, "seed": seed}, "figures": {"monitor": "val/loss (min)", "val/loss": loss}}
        for lr, both in losses.items()
        for seed, loss in enumerate(both)
    ]
    report = read_report([write_sweep(tmp_path / "sweep", ["optimizer.lr", "seed"], runs)])
    assert report.chosen_by == "val/loss"
    assert report.best is report.settings[1]


def test_without_a_validation_split_nothing_is_best(tmp_path):
    runs = [{"values": {"optimizer.lr": lr}, "figures": accuracies(0.9)} for lr in (0.1, 0.2)]
    report = read_report([write_sweep(tmp_path / "sweep", ["optimizer.lr"], runs)])
    assert (report.chosen_by, report.best) == (None, None)


def test_different_machines_stand_side_by_side(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", config={"epochs": 3}, figures={"device_name": "Apple M2"})
    assert read_report([tmp_path]).environment["device"] == "cpu (AMD EPYC); cpu (Apple M2)"


DAMAGE = {
    "results.json": b'{"test/accuracy": 0.',
    "status.json": b"",
    "metrics.csv": b"epoch,train/loss\n1,0.5\n2,0.",
    ".hydra/config.yaml": b"model: [1, 2\nseed: {",
    ".hydra/overrides.yaml": b"\xff\xfe- a",
}


@pytest.mark.parametrize("kind", ["cut", "gone", "binary", "other type"])
@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_never_breaks_the_report(sweep, name, kind):
    path = sweep / "lr=0.1,seed=0-00000000" / name
    if kind == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": DAMAGE[name], "binary": bytes(range(256)), "other type": b"[1, 2]\n"}[kind])
    report = read_report([sweep])
    assert len(report.runs) == 6
    assert [len(setting.runs) for setting in report.settings] == [2, 2, 2]
    first = report.runs[0]
    assert ("test/accuracy" in first.figures) == (name != "results.json")
    assert first.status == "finished"
    if name in ("results.json", "status.json"):
        assert first.error == f"{name} is missing or damaged"
    assert read_report([*sweep.glob("lr*")]).kind == "runs"


def test_a_line_cut_short_is_left_out(sweep):
    (sweep / "lr=0.1,seed=0-00000000" / "metrics.csv").write_bytes(DAMAGE["metrics.csv"] + b"\n3")
    rows = read_report([sweep]).runs[0].rows
    np.testing.assert_array_equal(rows["epoch"], [1, 2])
    np.testing.assert_array_equal(rows["train/loss"], [0.5, 0])


def test_a_damaged_plan_leaves_the_runs(sweep):
    (sweep / "sweep.json").write_text('{"runs": [')
    report = read_report([sweep])
    assert (report.kind, len(report.runs), report.keys) == ("runs", 6, ["optimizer.lr"])


def test_a_figure_that_is_not_finite_is_none(tmp_path):
    run = write_run(tmp_path / "run", figures={"test/psnr": float("inf"), "test/loss": float("nan"), "test/mse": 0.1})
    assert {"test/psnr", "test/loss"}.isdisjoint(read_report([run]).runs[0].figures)


@pytest.mark.skipif(os.name != "posix", reason="asks the kernel for a process")
def test_a_run_whose_process_is_gone_was_interrupted(tmp_path):
    here = {"host": socket.gethostname()}
    write_run(tmp_path / "alive", status="running", pid=os.getpid(), **here)
    write_run(tmp_path / "killed", status="running", pid=2**22 + 1, **here)  # beyond the kernel's largest
    write_run(tmp_path / "elsewhere", status="running", pid=2**22 + 1, host="another")
    states = {run.folder.name: run.status for run in read_report([tmp_path]).runs}
    assert states == {"alive": "running", "killed": "interrupted", "elsewhere": "running"}


def test_a_path_without_runs(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for path, words in {
        "outputs/sweep/fc": "outputs/sweep/fc: no such folder; .*; did you mean outputs/sweeps?",
        "fc_digits": "fc_digits: no such folder; .*; did you mean outputs/sweeps/fc_digits-0a1b2c3d?",
        "empty": "empty: holds no run; name the folder of a run",
        str(sweep / "sweep.json"): "sweep.json: is a file; name the folder",
    }.items():
        with pytest.raises(UserError, match=words) as caught:
            read_report([Path(path)])
        assert "\n" not in str(caught.value)


def test_a_study_alone_is_a_study_by_its_plan(sweep):
    plan = json.loads((sweep / "sweep.json").read_text())
    plan["study"] = {"title": "Rates", "tables": {}}
    (sweep / "sweep.json").write_text(json.dumps(plan))
    report = read_report([sweep])
    assert (report.kind, report.title, report.rows) == ("study", "Rates", [])
