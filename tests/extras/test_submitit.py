"""`hydra/launcher=submitit_local` and `submitit_slurm`: runs in processes that submitit starts, here or by Slurm."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from outcomes import TINY, Outcome, only, written

pytest.importorskip("submitit", reason="pip install 'dlhw[slurm]'")
pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="pip install 'dlhw[slurm]'")
Door = Callable[..., Outcome]

SWEEP = ("-m", *TINY)
NETS = """
import os, signal
from pathlib import Path
from hydra.core.hydra_config import HydraConfig
from dlhw.model.fc import FC

class Net(FC):
    def forward(self, x):
        if "SUBMITIT_EXECUTOR" in os.environ:
            folder = Path(HydraConfig.get().runtime.output_dir)
            if "lr=0.2" in folder.name:
                os.kill(os.getpid(), signal.SIGKILL)
            if "lr=0.3" in folder.name and (folder / "checkpoints/last.pt").is_file() and not Path("told").exists():
                Path("told").touch()
                os.kill(os.getpid(), signal.SIGUSR2)
        return super().forward(x)
"""


@pytest.fixture(autouse=True)
def no_wait_for_a_shared_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """submitit waits a quarter of a minute for the result of a job that is gone."""
    monkeypatch.setattr("submitit.core.core.Job._results_timeout_s", 1)


def statuses(folder: Path) -> dict[str, dict[str, str]]:
    return {path.parent.name.rpartition("-")[0]: json.loads(path.read_text()) for path in folder.glob("*/status.json")}


def test_a_lost_run_leaves_the_other_alone(door: Door, a_place_of_its_own: Path) -> None:
    """One run is killed; the other gets submitit's signal of a time limit, and goes on from its checkpoint."""
    (a_place_of_its_own / "extra_nets.py").write_text(NETS)
    words = (
        *SWEEP,
        "hydra/launcher=submitit_local",
        "model._target_=extra_nets.Net",
        "trust=[extra_nets]",
        "optimizer=sgd",
        "epochs=2",
        "name=two",
    )
    outcome = door(*words, "optimizer.lr=0.2,0.3")
    assert outcome.code == 1, outcome
    assert "1 of 2 runs finished" in outcome.out
    folder = only(a_place_of_its_own.glob("outputs/sweeps/*"))
    told = statuses(folder)
    assert {name: status["status"] for name, status in told.items()} == {"lr=0.2": "interrupted", "lr=0.3": "finished"}
    assert "ended without a result" in told["lr=0.2"]["error"]
    assert str(folder / ".submitit") in told["lr=0.2"]["error"]
    assert (a_place_of_its_own / "told").exists()
    went_on = only(folder.glob("lr=0.3-*"))
    assert [line.partition(",")[0] for line in (went_on / "metrics.csv").read_text().splitlines()] == [
        "epoch",
        "1",
        "2",
    ]
    assert "not finished:\n  lr=0.2" in outcome.err
    assert written(folder / ".submitit")


FAKES = {
    # An array of jobs, all at once.
    "sbatch": """
n=$(sed -n 's/.*--array=0-\\([0-9]*\\).*/\\1/p' "$1"); cp "$1" "$FAKES/script"
( for i in $(seq 0 "$n"); do
    SLURM_JOB_ID=$((4711 + i)) SLURM_ARRAY_JOB_ID=4711 SLURM_ARRAY_TASK_ID=$i SLURM_LOCALID=0 SLURM_PROCID=0 \\
    SLURM_NODEID=0 SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_JOB_NODELIST=here sh "$1" &
  done ) >/dev/null 2>&1 &
echo "Submitted batch job 4711"
""",
    "srun": """
while true; do case "$1" in --output|--error) shift 2;; --*) shift;; *) break;; esac; done
exec "$@"
""",
    "sacct": """
echo "JobID|State|NodeList"; for i in 0 1 2 3; do echo "4711_$i|RUNNING|here"; done
""",
    "scancel": "",
}


def test_slurm(door: Door, a_place_of_its_own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a Slurm of four shell scripts: one array, with the limits that were typed."""
    fakes = a_place_of_its_own / "fakes"
    fakes.mkdir()
    for name, script in FAKES.items():
        (fakes / name).write_text(f"#!/bin/sh\n{script}")
        (fakes / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{fakes}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKES", str(fakes))
    limits = ("hydra.launcher.array_parallelism=1", "hydra.launcher.timeout_min=7", "hydra.launcher.partition=short")
    outcome = door(*SWEEP, "hydra/launcher=submitit_slurm", "seed=0,1", *limits)
    assert outcome.code == 0, outcome
    assert "2 to train, at most 1 at a time" in outcome.out
    assert "2 of 2 runs finished" in outcome.out
    script = (fakes / "script").read_text()
    for line in ("--array=0-1%1", "--time=7", "--partition=short", "--job-name=dlhw", "--signal=USR2@120"):
        assert f"#SBATCH {line}\n" in script
    folder = only(a_place_of_its_own.glob("outputs/sweeps/*"))
    assert f"#SBATCH --output={folder}/.submitit/" in script


def test_slurm_where_there_is_none(door: Door, a_place_of_its_own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(a_place_of_its_own))
    assert "there is no Slurm here" in door(*SWEEP, "hydra/launcher=submitit_slurm", "seed=0,1").refusal()
    assert written(a_place_of_its_own) == []


@pytest.mark.parametrize(("cpus", "expected"), [(None, 8), (3, 2), (9, 1)])
def test_as_many_at_once_as_there_are_cores_for(
    cpus: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from omegaconf import OmegaConf

    from dlhw.sweep.launchers import submitted_at_once

    monkeypatch.setattr("dlhw.sweep.launchers.cores", lambda: 8)
    target = "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher"
    config = OmegaConf.create({"hydra": {"launcher": {"_target_": target, "cpus_per_task": cpus}}})
    assert submitted_at_once(config) == expected
