"""How many runs train at once, and on which device each."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from dlhw.config.compose import composed
from dlhw.config.shipped import hydra_session
from dlhw.sweep import whole
from dlhw.sweep.plan import Composer, Plan, Planned, make_plan

RUNS = 5


@pytest.fixture(autouse=True)
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(whole, "cores", lambda: 4)
    with hydra_session():
        yield


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have the machine own so many, with their driver."""

    def have(count: int) -> None:
        monkeypatch.setattr(whole, "has_gpu_driver", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return have


def planned(*typed: str) -> tuple[DictConfig, Plan]:
    config = composed([*typed])
    own = [word for word in typed if not word.startswith("hydra")]
    runs = [Planned([*own, f"seed={seed}"], {"seed": str(seed)}) for seed in range(RUNS)]
    return config, make_plan("sweep", runs, Composer(GlobalHydra.instance().config_loader(), []), ["seed"])


def placed(*typed: str) -> tuple[int, list[str]]:
    """The workers, and each run's device."""
    config, plan = planned(*typed)
    workers = whole.workers_for(config, len(plan.jobs))
    whole.spread_over_gpus(plan, config, workers)
    return workers, [job.config.device for job in plan.jobs]


@pytest.mark.parametrize(
    ("typed", "workers"),
    [
        ([], 4),
        (["hydra.launcher.n_jobs=3"], 3),
        (["hydra.launcher.n_jobs=99"], RUNS),
        (["hydra.launcher.n_jobs=-2"], 3),
        (["hydra.launcher.n_jobs=-99"], 1),
        (["hydra/launcher=basic"], 1),
    ],
)
def test_without_a_gpu_it_is_a_run_a_core_as_joblib_counts(typed, workers, monkeypatch):
    monkeypatch.setattr(whole, "has_gpu_driver", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: pytest.fail("torch was asked for GPUs"))
    assert placed(*typed) == (workers, ["auto"] * RUNS)


def test_a_run_a_gpu_in_turn(gpus):
    gpus(2)
    assert placed() == (2, ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"])
    assert placed("hydra.launcher.n_jobs=4", "device=cuda")[0] == 4
    assert placed("hydra.launcher.n_jobs=4", "device=cuda")[1] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]


def test_what_is_typed_of_devices_holds(gpus):
    gpus(2)
    assert placed("device=cuda:1") == (1, ["cuda:1"] * RUNS)
    assert placed("device=cpu") == (4, ["cpu"] * RUNS)
    assert placed("hydra/launcher=basic") == (1, ["auto"] * RUNS)


def test_one_gpu_takes_one_run_at_a_time(gpus):
    gpus(1)
    assert placed() == (1, ["auto"] * RUNS)
    gpus(0)
    assert placed() == (4, ["auto"] * RUNS)


@pytest.mark.parametrize("device", ["nvidiactl", "dxg", "nvmap", "kfd"])
def test_a_driver_is_known_by_its_device(device, monkeypatch):
    there = SimpleNamespace(path=f"/dev/{device}")
    monkeypatch.setattr(whole.sys, "platform", "linux")
    monkeypatch.setattr(whole, "Path", lambda path: SimpleNamespace(exists=lambda: path == there.path))
    assert whole.has_gpu_driver()
    there.path = "/dev/null"
    assert not whole.has_gpu_driver()
    monkeypatch.setattr(whole.sys, "platform", "win32")
    assert whole.has_gpu_driver()
