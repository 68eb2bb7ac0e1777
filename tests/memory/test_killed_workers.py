"""A worker that the kernel kills: its run is named, and every other run of the sweep is trained."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from dlhw.files import write_json, write_text
from dlhw.sweep.launch import status_of
from dlhw.sweep.launchers import ATTEMPTS, train_in_workers

DEADLY = {"SIGKILL": "probably for want of memory", "SIGSEGV": "its process was ended by SIGSEGV"}


class Workers:
    """joblib's: trains as many runs at once as it is told. `deadly` runs end the pool, others' processes with it."""

    def __init__(self, deadly: dict[str, str]) -> None:
        self.deadly = deadly
        self.calls: list[list[str]] = []

    def __call__(self, folders: Sequence[Path], workers: int) -> None:
        assert workers > 1, "a single run would be trained, and killed, in the sweep's own process"
        self.calls.append([folder.name for folder in folders])
        left = [folder for folder in folders if not (folder.parent / ".stop").exists()]
        while left:
            batch, left = left[:workers], left[workers:]
            for folder in batch:
                write_json(folder / "status.json", {"status": "running"})
            for folder in batch:
                if folder.name in self.deadly:
                    raise BrokenProcessPool(f"The exit codes of the workers are {{{self.deadly[folder.name]}(-9)}}")
            for folder in batch:
                write_json(folder / "results.json", {})
                write_json(folder / "status.json", {"status": "finished"})


def planned(place: Path, names: str) -> list[Path]:
    for name in names:
        (place / name).mkdir(exist_ok=True)
        write_text(place / name / ".hydra" / "config.yaml", "batch_size: 100\n")
    return [place / name for name in names]


def ends(folders: Sequence[Path]) -> dict[str, str]:
    return {folder.name: status_of(folder) for folder in folders}


@pytest.mark.parametrize("signal", DEADLY)
def test_the_others_go_on(signal, tmp_path):
    folders, workers = planned(tmp_path, "abcdefg"), Workers({"b": signal, "f": signal})
    train_in_workers(workers, folders, 2, "continue")
    assert ends(folders) == {**dict.fromkeys("abcdefg", "finished"), "b": "failed", "f": "failed"}
    assert workers.calls == [list("abcdefg"), ["a"], ["b"], list("cdefg"), ["e"], ["f"], ["g"]]
    error = json.loads((tmp_path / "b/status.json").read_text())["error"]
    assert DEADLY[signal] in error
    assert ("batch_size (now 100)" in error) is (signal == "SIGKILL")


def test_what_is_too_much_together_goes_on_one_by_one(tmp_path):
    folders = planned(tmp_path, "abcd")
    alone = Workers({})

    def workers(folders, workers):
        if len(folders) > 1 and "a" in [folder.name for folder in folders]:
            Workers({"b": "SIGKILL"})(folders, workers)
        alone(folders, workers)

    train_in_workers(workers, folders, 2, "continue")
    assert set(ends(folders).values()) == {"finished"}
    assert alone.calls == [["a"], ["b"], ["c", "d"]]


def test_on_error_stop_begins_no_other_run(tmp_path):
    folders, workers = planned(tmp_path, "abcdef"), Workers({"c": "SIGKILL"})
    train_in_workers(workers, folders, 2, "stop")
    assert ends(folders) == {
        "a": "finished",
        "b": "finished",
        "c": "failed",
        "d": "running",
        "e": "queued",
        "f": "queued",
    }
    assert workers.calls == [list("abcdef"), ["c"]]


def test_runs_that_failed_before_and_were_not_reached_are_still_trained(tmp_path):
    folders, workers = planned(tmp_path, "abcd"), Workers({"a": "SIGKILL"})
    for folder in folders[1:]:
        write_json(folder / "status.json", {"status": "failed", "error": "yesterday"})
    train_in_workers(workers, folders, 2, "continue")
    assert ends(folders) == {"a": "failed", "b": "finished", "c": "finished", "d": "finished"}


def test_workers_that_die_before_they_begin_a_run_end_the_attempts(tmp_path):
    folders, calls = planned(tmp_path, "ab"), []

    def dead(folders, workers):
        calls.append(folders)
        raise BrokenProcessPool("killed")

    train_in_workers(dead, folders, 2, "continue")
    assert len(calls) == ATTEMPTS
    assert ends(folders) == {"a": "queued", "b": "queued"}


def test_a_sweep_of_which_one_run_kills_its_process(tmp_path):
    (tmp_path / "lethal.py").write_text(
        "import os, signal\nfrom torch import nn\n\nclass Net(nn.Sequential):\n"
        "    def __init__(self, lethal):\n        super().__init__(nn.Flatten(), nn.Linear(784, 10))\n"
        "        self.lethal = lethal\n"
        "    def forward(self, x):\n"
        "        if self.lethal and self.training and os.getppid() != int(os.environ['ABOVE']):\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n        return super().forward(x)\n"
    )
    line = [str(Path(sys.executable).parent / "dlhw"), "-m", "model._target_=lethal.Net", "trust=[lethal]",
            "+model.lethal=true,false", "name=killed", "epochs=1", "plots=none", "dataset.train_size=100", "device=cpu",
            "hydra.launcher.n_jobs=2"]  # fmt: skip
    environment = {**os.environ, "ABOVE": str(os.getpid()), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    assert "1 of 2 runs finished" in done.stdout
    assert "killed (SIGKILL), with no other run beside it, probably for want of memory: try" in done.stderr
    (folder,) = tmp_path.glob("outputs/sweeps/killed-*")
    states = {path.parent.name[:11]: status_of(path.parent) for path in folder.glob("*/status.json")}
    assert states == {"lethal=true": "failed", "lethal=fals": "finished"}
