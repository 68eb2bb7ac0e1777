"""What a lane leaves is what a run leaves; what befalls it befalls no other."""

import pytest
import torch
from filelock import FileLock
from planned_runs import FC, TINY, alone, column, in_lanes, plan, plan_all, results, status, train_alone

from dlhw.files import write_json
from dlhw.folder.checkpoint import Checkpoints
from dlhw.folder.record import Record
from dlhw.jobs import taken_up
from dlhw.lanes.launch import train_planned
from dlhw.lanes.program import Program
from dlhw.lanes.train import train_lanes

SGD = (*FC, "optimizer=sgd", "dataset.image_size=28")
BAD = "optimizer.lr=1e30"


def seeds(*numbers: int) -> list[tuple[str, ...]]:
    return [(*FC, f"seed={seed}", "epochs=3", "model.dropout=0.2") for seed in numbers]


def test_nobody_can_tell_the_folders_apart(tmp_path):
    run = (*FC, "plots=basic", "early_stopping.patience=5", "test_every_epoch=true")
    other = (*run, "plots=none", "seed=1")
    (lane, _), (single,) = in_lanes(tmp_path / "lanes", [run, other]), alone(tmp_path / "alone", [run])
    files = {str(path.relative_to(lane)) for path in lane.rglob("*") if path.is_file()}
    assert files == {str(path.relative_to(single)) for path in single.rglob("*") if path.is_file()}
    for name in ("last.pt", "best.pt"):  # a slice of a stack would drag the whole along
        ours, theirs = ((folder / "checkpoints" / name).stat().st_size for folder in (lane, single))
        assert ours == pytest.approx(theirs, rel=0.01)
    assert [results(lane)["lanes"], results(single)["lanes"]] == [2, 1]
    assert list(results(lane)) == list(results(single))
    assert results(lane)["test_evaluations"] == results(single)["test_evaluations"] == 3
    assert status(lane)["status"] == status(single)["status"] == "finished"


def test_each_log_has_its_own_lines(tmp_path):
    folders = in_lanes(tmp_path, [(*FC, "seed=0", "name=alpha"), (*FC, "seed=1", "name=omega")])
    for folder, own, other in zip(folders, ("alpha", "omega"), ("omega", "alpha"), strict=True):
        lines = (folder / "dlhw.log").read_text()
        assert f"INFO {own}\n" in lines
        assert other not in lines
        assert lines.count("epoch 1/2") == lines.count("test/accuracy") == lines.count("one of 2 lanes") == 1
        assert results(folder)["lanes"] == 2


def test_a_loss_that_is_not_finite_disturbs_nobody_by_a_bit(tmp_path):
    fine = [(*SGD, f"seed={seed}", "optimizer.lr=0.1") for seed in range(2)]
    beside_bad = in_lanes(tmp_path / "bad", [fine[0], (*SGD, BAD), fine[1]])
    beside_good = in_lanes(tmp_path / "good", [fine[0], (*SGD, "optimizer.lr=0.2"), fine[1]])
    assert [status(folder)["status"] for folder in beside_bad] == ["finished", "failed", "finished"]
    failed = status(beside_bad[1])
    assert "the training loss is" in failed["error"]
    assert "RunFailed" in failed["traceback"]
    assert not (beside_bad[1] / "results.json").exists()
    for index in (0, 2):
        first_epoch = [column(folders[index], "loss")[:5] for folders in (beside_bad, beside_good)]
        assert first_epoch[0] == first_epoch[1]
        rest = [column(folders[index], "loss")[5:] for folders in (beside_bad, beside_good)]  # of another stack
        assert rest[0] == pytest.approx(rest[1], rel=1e-5)


def test_a_lane_that_stops_early_leaves_the_others_to_go_on(tmp_path):
    rest = ("epochs=6", "precision=fp64", "model.dropout=0.2")
    impatient = ("early_stopping.patience=2", "early_stopping.min_delta=1.0")
    runs = [(*FC, *rest, "seed=0", *impatient), (*FC, *rest, "seed=1"), (*FC, *rest, "seed=2")]
    lanes, singles = in_lanes(tmp_path / "lanes", runs), alone(tmp_path / "alone", runs)
    assert [len(column(folder, "epoch", "metrics.csv")) for folder in lanes] == [3, 6, 6]
    assert "stopping early" in (lanes[0] / "dlhw.log").read_text()
    for lane, single in zip(lanes, singles, strict=True):
        assert column(lane, "loss") == pytest.approx(column(single, "loss"), rel=1e-10)
        assert results(lane)["test/loss"] == pytest.approx(results(single)["test/loss"], rel=1e-9)


@pytest.fixture
def killed_after(monkeypatch):
    """Break everything off when so many rows are kept: killed_after(5)."""
    keep, kept = Checkpoints.keep, []

    def break_off(count):
        def keep_or_break(self, *args):
            if len(kept) == count:
                raise KeyboardInterrupt
            kept.append(self.folder)
            keep(self, *args)

        monkeypatch.setattr(Checkpoints, "keep", keep_or_break)

    yield break_off
    monkeypatch.setattr(Checkpoints, "keep", keep)


def test_lanes_that_stand_at_different_epochs_go_on(tmp_path, killed_after, monkeypatch):
    folders = plan_all(tmp_path / "killed", seeds(0, 1, 2))
    killed_after(4)  # the first lane has kept two epochs, the others one
    with pytest.raises(KeyboardInterrupt):
        train_lanes(folders, "continue")
    assert {status(folder)["status"] for folder in folders} == {"interrupted"}
    monkeypatch.undo()
    train_lanes(folders, "continue")
    whole = in_lanes(tmp_path / "whole", seeds(0, 1, 2))
    assert [results(folder)["lanes"] for folder in folders] == [1, 2, 2]
    for folder, other in zip(folders, whole, strict=True):
        assert status(folder)["status"] == "finished"
        assert column(folder, "step") == list(range(1, 16))
        assert column(folder, "loss") == pytest.approx(column(other, "loss"), rel=1e-5)


def test_a_lane_goes_on_as_an_ordinary_run_and_back(tmp_path, killed_after, monkeypatch):
    runs = [(*words, "precision=fp64") for words in seeds(0, 1)]
    folders = plan_all(tmp_path / "lanes", runs)
    killed_after(3)
    with pytest.raises(KeyboardInterrupt):
        train_lanes(folders, "continue")
    monkeypatch.undo()
    train_alone(folders[0])
    (single,) = alone(tmp_path / "alone", runs[:1])
    assert column(folders[0], "loss") == pytest.approx(column(single, "loss"), rel=1e-10)


@pytest.mark.parametrize(("on_error", "begun"), [("stop", False), ("continue", True)])
def test_on_error(on_error, begun, tmp_path):
    bad, later = plan(tmp_path / "0", *SGD, BAD), plan(tmp_path / "1", *SGD)
    train_lanes([bad], on_error)
    assert (tmp_path / ".stop").exists() is not begun
    train_lanes([later], on_error)
    assert (later / "results.json").exists() is begun


def test_a_lane_that_cannot_be_prepared_fails_alone(tmp_path):
    good, bad = plan_all(tmp_path, [FC, (*FC, "dataset.val_size=0", "early_stopping.patience=1", "seed=1")])
    train_lanes([bad, good], "continue")
    assert status(good)["status"] == "finished"
    assert status(bad)["status"] == "failed"
    assert "early_stopping.patience=1" in status(bad)["error"]


def test_a_run_that_another_process_trains_is_left_to_it(tmp_path, monkeypatch):
    folders, locked = plan_all(tmp_path, seeds(0, 1)), Record.locked
    write_json(folders[1] / "status.json", {"status": "running", "pid": 1})
    monkeypatch.setattr(Record, "locked", lambda self, wait: locked(self, 0))
    with FileLock(folders[1] / ".lock"):
        train_lanes(folders, "continue")
    assert status(folders[0])["status"] == "finished"
    assert status(folders[1]) == {"status": "running", "pid": 1}


def test_what_breaks_the_program_fails_every_lane(tmp_path, monkeypatch):
    folders = plan_all(tmp_path, seeds(0, 1))
    monkeypatch.setattr(Program, "train_step", lambda self, batches: 1 / 0)
    train_lanes(folders, "continue")
    assert [status(folder)["error"] for folder in folders] == ["division by zero"] * 2


def test_too_large_a_group_goes_in_halves(tmp_path, monkeypatch):
    folders, step = plan_all(tmp_path, seeds(0, 1, 2)), Program.train_step

    def too_large(self, batches):
        if len(self.trainers) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(self, batches)

    monkeypatch.setattr(Program, "train_step", too_large)
    train_lanes(folders, "continue")
    assert [results(folder)["lanes"] for folder in folders] == [1, 1, 1]
    assert [column(folder, "epoch", "metrics.csv") for folder in folders] == [[1, 2, 3]] * 3


def test_a_lane_for_which_there_is_no_room_is_handed_back(tmp_path, monkeypatch):
    folders, step = plan_all(tmp_path, seeds(0, 1, 2)), Program.train_step

    def too_large(self, batches):
        if len(self.trainers) > 1 or self.trainers[0].shuffle.initial_seed() == 1:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")
        return step(self, batches)

    monkeypatch.setattr(Program, "train_step", too_large)
    monkeypatch.setattr("dlhw.lanes.group.refusal", lambda trainer: "")  # which tries two lanes
    trained = []
    train_planned(folders, None, "continue", trained.extend)
    assert trained == [folders[1]]
    assert [status(folder)["status"] for folder in folders] == ["finished", "interrupted", "finished"]
    train_alone(folders[1])
    assert status(folders[1])["status"] == "finished"


def test_lanes_that_cannot_all_be_prepared_go_in_halves(tmp_path, monkeypatch):
    folders, calls = plan_all(tmp_path, seeds(0, 1, 2, 3)), []

    def prepared(record, share, trust):
        calls.append(record)
        if len(calls) == 3:  # beside two that are there
            raise MemoryError
        return taken_up(record, share, trust)

    monkeypatch.setattr("dlhw.lanes.lane.taken_up", prepared)
    assert train_lanes(folders, "continue") == []
    assert [results(folder)["lanes"] for folder in folders] == [2, 2, 2, 2]


def test_results_name_the_threads_of_the_group(tmp_path, monkeypatch):
    monkeypatch.setattr("dlhw.machine.cores", lambda: 3)
    monkeypatch.setattr("dlhw.machine.FLOPS_PER_THREAD", 1.0)
    runs = [(*TINY, "model=fc", "threads=auto", "epochs=1", f"seed={seed}") for seed in (0, 1)]
    for folder in in_lanes(tmp_path, runs):
        assert results(folder)["threads"] == 2  # one core is left to the rest
        assert "threads: 2\n" in (folder / ".hydra" / "config.yaml").read_text()


def test_the_same_lanes_again_are_the_same_bits(tmp_path):
    first, second = (in_lanes(tmp_path / name, seeds(0, 1)) for name in ("first", "second"))
    for one, other in zip(first, second, strict=True):
        assert (one / "steps.csv").read_bytes() == (other / "steps.csv").read_bytes()
    assert (first[0] / "steps.csv").read_bytes() != (first[1] / "steps.csv").read_bytes()
