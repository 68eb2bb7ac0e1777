"""A plan carried out by a stand-in for Hydra's launcher: what is done, what is missing, and what a crash leaves."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from filelock import FileLock
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from dlhw.config.shipped import hydra_session
from dlhw.files import write_json, write_text
from dlhw.sweep.launch import Options, Sweep, status_of
from dlhw.sweep.plan import Composer, Plan, Planned, make_plan
from dlhw.sweep.preflight import Expectation

SEEDS = range(4)


@pytest.fixture(scope="module")
def plan() -> Iterator[Plan]:
    with hydra_session():
        composer = Composer(GlobalHydra.instance().config_loader(), [])
        yield make_plan("sweep", [Planned([f"seed={s}"], {"seed": s}) for s in SEEDS], composer, ["seed"])


@pytest.fixture(autouse=True)
def a_place_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def expect(configs: Sequence[DictConfig]) -> Expectation:
    return Expectation([float(config.seed) for config in configs], 0)


def sweep_of(plan: Plan, **options: object) -> Sweep:
    given = {"on_error": "continue", "rerun": False, "dry_run": False, "workers": 2, **options}
    return Sweep(plan, Options(plan.folder, expect=expect, **given))  # type: ignore[arg-type]


def finish(folder: Path) -> None:
    write_json(folder / "results.json", {"seed": seed_of(folder)})
    write_json(folder / "status.json", {"status": "finished"})


def seed_of(folder: Path) -> int:
    return int(OmegaConf.load(folder / ".hydra" / "config.yaml").seed)


class Launcher:
    """Finishes each run that it is handed, unless `at` says otherwise for its seed."""

    def __init__(self, at: dict[int, Callable[[Path], None]] | None = None) -> None:
        self.at = at or {}
        self.calls: list[list[int]] = []

    def __call__(self, folders: list[Path]) -> None:
        self.calls.append([seed_of(folder) for folder in folders])
        for folder in folders:
            self.at.get(seed_of(folder), finish)(folder)


def fail(folder: Path) -> None:
    write_json(folder / "status.json", {"status": "failed", "error": "it broke", "traceback": "…"})


def test_the_longest_run_comes_first_and_the_list_stays_as_typed(plan: Plan) -> None:
    launcher, sweep = Launcher(), sweep_of(plan)
    assert sweep.run(launcher)
    assert launcher.calls == [[3, 2, 1, 0]]
    listed = json.loads((sweep.folder / "sweep.json").read_text())
    assert [run["values"]["seed"] for run in listed["runs"]] == [0, 1, 2, 3]
    assert all((sweep.folder / run["folder"] / "results.json").is_file() for run in listed["runs"])


def test_failures_are_named_and_only_they_run_again(plan: Plan) -> None:
    sweep = sweep_of(plan)
    assert not sweep.run(Launcher({1: fail, 3: fail}))
    assert [line.partition("-")[0] for line in sweep.failures()] == ["seed=1", "seed=3"]
    assert sweep.failures()[0].endswith(": it broke")
    again = Launcher()
    assert sweep_of(plan).run(again)
    assert again.calls == [[3, 1]]
    third = Launcher()
    assert sweep_of(plan).run(third)
    assert third.calls == []


def test_a_run_trains_by_the_config_that_was_written_down(plan: Plan) -> None:
    sweep = sweep_of(plan)
    sweep.run(Launcher({0: fail}))
    config = sweep.folder_of(plan.jobs[0]) / ".hydra" / "config.yaml"
    before = config.read_bytes()
    sweep_of(plan).run(Launcher())
    assert config.read_bytes() == before


def test_a_run_whose_process_is_gone_without_a_word_is_told(plan: Plan) -> None:
    def begin(folder: Path) -> None:
        write_json(folder / "status.json", {"status": "running"})

    sweep = sweep_of(plan)
    assert not sweep.run(Launcher({2: begin}))
    assert status_of(sweep.folder_of(plan.jobs[2])) == "interrupted"
    assert [line.rpartition(": ")[2] for line in sweep.failures()] == ["killed"]


def test_an_interrupted_sweep_leaves_what_is_done(plan: Plan) -> None:
    def interrupted(folder: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep_of(plan).run(Launcher({1: interrupted}))
    again = Launcher()
    assert sweep_of(plan).run(again)
    assert again.calls == [[1, 0]]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"status": "finished"'])
def test_a_damaged_status_is_a_run_to_train(damage: str, plan: Plan) -> None:
    sweep = sweep_of(plan)
    sweep.run(Launcher())
    write_text(sweep.folder_of(plan.jobs[1]) / "status.json", damage)
    again = Launcher()
    sweep_of(plan).run(again)
    assert again.calls == [[1]]


def test_finished_means_that_results_are_there(plan: Plan) -> None:
    sweep = sweep_of(plan)
    sweep.run(Launcher())
    (sweep.folder_of(plan.jobs[0]) / "results.json").unlink()
    again = Launcher()
    sweep_of(plan).run(again)
    assert again.calls == [[0]]


def test_two_at_once_wait_for_each_other(plan: Plan) -> None:
    sweep = sweep_of(plan)
    sweep.folder.mkdir(parents=True)
    launcher = Launcher()
    with FileLock(sweep.folder / ".lock"):
        second = threading.Thread(target=lambda: sweep.run(launcher))
        second.start()
        second.join(0.2)
        assert second.is_alive()
        assert launcher.calls == []
        for job in plan.jobs[:2]:  # what the first has done meanwhile
            sweep.folder_of(job).mkdir(exist_ok=True)
            write_text(sweep.folder_of(job) / ".hydra" / "config.yaml", OmegaConf.to_yaml(job.config))
            finish(sweep.folder_of(job))
    second.join()
    assert launcher.calls == [[3, 2]]


def test_dry_run_writes_nothing(plan: Plan) -> None:
    launcher, sweep = Launcher(), sweep_of(plan, dry_run=True)
    sweep.run(launcher)
    assert launcher.calls == []
    assert not sweep.folder.exists()


def test_a_part_of_a_study_keeps_what_earlier_sittings_ran(plan: Plan) -> None:
    rows = [[("rate", str(seed))] for seed in SEEDS]
    with hydra_session():
        composer = Composer(GlobalHydra.instance().config_loader(), [])
        runs = [Planned([f"seed={seed}"], {}, rows[seed]) for seed in SEEDS]
        whole = make_plan("study", runs, composer, [], "mine", {"tables": {"rate": {}}})
        part = make_plan("study", runs[:1], composer, [], "mine", {"tables": {"rate": {}}})
        gone = make_plan("study", runs[:1], composer, [], "mine", {"tables": {"other": {}}})
    part.whole = gone.whole = [job.hash for job in whole.jobs]
    assert part.folder == whole.folder
    sweep_of(whole).run(Launcher())
    for plan_now, expected in ((part, 4), (gone, 1)):
        sweep_of(plan_now).run(Launcher())
        assert len(json.loads((whole.folder / "sweep.json").read_text())["runs"]) == expected


def test_a_run_that_two_tables_share_keeps_its_rows_when_one_of_them_runs_again(plan: Plan) -> None:
    study = {"tables": {"rate": {}, "base": {}}}
    with hydra_session():
        composer = Composer(GlobalHydra.instance().config_loader(), [])
        runs = [Planned([], {}, [("rate", "0.001")]), Planned([], {}, [("base", "base")])]
        whole = make_plan("study", runs, composer, [], "mine", study)
        part = make_plan("study", [Planned([], {}, [("rate", "0.001")])], composer, [], "mine", study)
    for plan_now in (whole, part):
        sweep_of(plan_now).run(Launcher())
    (run,) = json.loads((whole.folder / "sweep.json").read_text())["runs"]
    assert run["rows"] == [["rate", "0.001"], ["base", "base"]]
