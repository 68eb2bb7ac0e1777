"""What may change in a resumed run, what is refused, and what a finished one does."""

import json

import pytest
from killed_runs import killed_run, waiting_run
from small_runs import FC, TINY, contents, read_csv, resume, run, same_bits, timeless, weights

from dlhw.errors import RunFailed, UserError

RUN = (*FC, "model.dropout=0.2", "optimizer.lr=0.02", "batch_size=50")


def refusal(folder, *overrides) -> str:
    before = contents(folder) if folder.exists() else None
    with pytest.raises(UserError) as refused:
        resume(folder, *overrides)
    assert "\n" not in str(refused.value)
    assert before is None or contents(folder) == before
    return str(refused.value)


@pytest.mark.parametrize("kind", ["best_last", "last"])
@pytest.mark.parametrize("scheduler", ["none", "exponential"])
def test_raised_epochs_equal_a_run_of_that_length(scheduler, kind, tmp_path):
    overrides = (*RUN, f"scheduler={scheduler}", f"checkpoints={kind}")
    whole, raised = tmp_path / "whole", tmp_path / "raised"
    expected = run(whole, *overrides, "epochs=6")
    run(raised, *overrides, "epochs=3")
    went_on = resume(raised, "epochs=6")
    assert timeless(raised) == timeless(whole)
    assert (raised / "steps.csv").read_bytes() == (whole / "steps.csv").read_bytes()
    assert same_bits(weights(raised / "checkpoints" / "last.pt"), weights(whole / "checkpoints" / "last.pt"))
    assert [row["epoch"] for row in went_on.rows] == [1, 2, 3, 4, 5, 6]
    for key in ("epochs", "best_epoch", "test/loss", "test/accuracy", "train/loss", "val/loss"):
        assert went_on.results[key] == expected.results[key]
    assert went_on.results["test_evaluations"] == 2  # at its first end too
    assert_nothing_left_to_do(raised)


def assert_nothing_left_to_do(folder) -> None:
    before = contents(folder)
    resume(folder)
    assert contents(folder) == before


@pytest.mark.parametrize("scheduler", ["cosine", "onecycle"])
def test_schedules_that_span_the_run_refuse_raised_epochs(scheduler, tmp_path):
    run(tmp_path / "run", *RUN, f"scheduler={scheduler}", "epochs=2")
    said = refusal(tmp_path / "run", "epochs=3")
    assert said.startswith("epochs=3: ")
    assert scheduler in said


@pytest.mark.parametrize("scheduler", ["cosine", "onecycle", "plateau"])
def test_every_other_schedule_resumes_as_well(scheduler, tmp_path):
    overrides = (*RUN, f"scheduler={scheduler}", "epochs=4", "optimizer=sgd", "optimizer.momentum=0.9")
    overrides += ("scheduler.patience=0", "scheduler.threshold=0.2") if scheduler == "plateau" else ()
    run(tmp_path / "whole", *TINY, *overrides)
    killed_run(tmp_path / "run", (*TINY, *overrides), "die_after_last", 2)
    resume(tmp_path / "run")
    assert timeless(tmp_path / "run") == timeless(tmp_path / "whole")
    assert len({row["lr"] for row in timeless(tmp_path / "run")}) > 1


def test_a_raw_torch_scheduler_resumes(tmp_path):
    target = "scheduler._target_=torch.optim.lr_scheduler.MultiStepLR"
    overrides = (*TINY, *RUN, target, "+scheduler.milestones=[1,3]", "epochs=4")
    run(tmp_path / "whole", *overrides)
    killed_run(tmp_path / "run", overrides, "die_after_last", 2)
    resume(tmp_path / "run")
    assert timeless(tmp_path / "run") == timeless(tmp_path / "whole")


@pytest.fixture
def finished(tmp_path):
    run(tmp_path / "run", *RUN, "epochs=3")
    return tmp_path / "run"


@pytest.mark.parametrize("overrides", [[], ["epochs=3"]], ids=str)
def test_a_finished_run_says_so_and_trains_nothing(overrides, finished, said, monkeypatch):
    before = contents(finished)
    results = json.loads(before["results.json"])
    monkeypatch.setattr("dlhw.trainer.Trainer.fit", None)
    for _ in range(2):
        said.clear()
        again = resume(finished, *overrides)
        assert contents(finished) == before
        assert again.results == results
        assert [row["epoch"] for row in again.rows] == [1, 2, 3]
        assert [line for line in said if "finished after 3 epochs" in line] == said


@pytest.mark.parametrize(
    "override",
    ["seed=1", "optimizer.lr=0.1", "model=lenet5", "+model.dropout=0.5", "++batch_size=10", "~optimizer.eps", "name=x"],
)
def test_other_overrides_are_refused(override, finished):
    key = override.lstrip("+~").partition("=")[0]
    assert key in refusal(finished, override)
    assert key in refusal(finished, "epochs=5", override)


def test_fewer_epochs_are_refused(finished):
    assert refusal(finished, "epochs=2").startswith("epochs=2: ")


def test_what_holds_no_run_is_refused(tmp_path):
    (tmp_path / "runs" / "2026").mkdir(parents=True)
    assert "holds no run" in refusal(tmp_path / "runs")
    assert f"did you mean {tmp_path / 'runs'}?" in refusal(tmp_path / "rums")


def test_a_damaged_config_is_refused(finished):
    (finished / ".hydra" / "config.yaml").write_text("model: [")
    assert "config.yaml: " in refusal(finished)


def test_without_checkpoints_there_is_nothing_to_go_on_from(tmp_path):
    run(tmp_path / "run", *RUN, "epochs=2", "checkpoints=none")
    assert_nothing_left_to_do(tmp_path / "run")
    assert "checkpoints=none" in refusal(tmp_path / "run", "epochs=3")


def test_a_run_whose_checkpoint_was_deleted_is_not_begun_anew(finished):
    (finished / "checkpoints" / "last.pt").unlink()
    assert "no checkpoints/last.pt" in refusal(finished, "epochs=4")


def test_two_processes_cannot_train_one_folder(tmp_path):
    folder = tmp_path / "run"
    process, go_on = waiting_run(folder, (*TINY, *RUN, "epochs=2"))
    try:
        assert "another process is training this run" in refusal(folder)
        assert json.loads((folder / "status.json").read_text())["status"] == "running"
    finally:
        go_on.set()
        process.join(60)
    assert process.exitcode == 0
    assert json.loads((folder / "status.json").read_text())["status"] == "finished"
    assert [row["epoch"] for row in read_csv(folder / "metrics.csv")] == ["1", "2"]


def test_a_run_that_stopped_early_is_finished(tmp_path):
    folder = tmp_path / "run"
    never_better = ("optimizer=sgd", "optimizer.lr=1e-12", "early_stopping.patience=2", "epochs=9")
    stopped = run(folder, *FC, *never_better)
    assert stopped.results["epochs"] == 3
    assert stopped.results["best_epoch"] == 1
    assert_nothing_left_to_do(folder)


def test_early_stopping_counts_on_after_a_kill(tmp_path):
    never_better = ("optimizer=sgd", "optimizer.lr=1e-12", "early_stopping.patience=3", "epochs=9")
    killed_run(tmp_path / "run", (*TINY, *FC, *never_better), "die_after_last", 2)
    assert resume(tmp_path / "run").results["epochs"] == 4


def test_a_failed_run_may_be_resumed_and_fails_again_the_same_way(tmp_path):
    """Diverging in epoch 2 or later: the good epochs stay, status.json says failed both times."""
    folder, spoilt = tmp_path / "run", ("scheduler=step", "scheduler.step_size=1", "scheduler.gamma=1e30")
    with pytest.raises(RunFailed) as first:
        run(folder, *FC, *spoilt, "optimizer=sgd", "epochs=5")
    before = timeless(folder)
    assert len(before) >= 1
    with pytest.raises(RunFailed) as second:
        resume(folder)
    assert str(first.value) == str(second.value)
    assert timeless(folder) == before
    assert json.loads((folder / "status.json").read_text())["status"] == "failed"
