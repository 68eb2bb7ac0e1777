"""What several processes cannot do together, asked of one of them."""

import sys
from types import SimpleNamespace

import pytest
import torch
from processes import TINY, alone, losses, succeed

from dlhw import cli
from dlhw.config.compose import composed
from dlhw.config.shipped import hydra_session
from dlhw.distributed.ranks import ALONE, Ranks
from dlhw.distributed.torchrun import launched
from dlhw.errors import UserError
from dlhw.prepare import prepare

TWO = Ranks(0, 2, 0, 2)
VARIABLES = {
    "RANK": 1,
    "WORLD_SIZE": 4,
    "LOCAL_RANK": 1,
    "LOCAL_WORLD_SIZE": 2,
    "MASTER_ADDR": "here",
    "MASTER_PORT": 1,
}


def prepared(ranks, *overrides):
    with hydra_session() as session:
        return prepare(composed([*session, *TINY, *overrides]), ranks=ranks)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["batch_size=1"], "batch_size=1: is the batch of all, and this run has 2 processes; it must be at least 2"),
        (["backend=numpy"], "works in one process alone, and this run has 2 processes; use backend=torch"),
        (["compile=true"], "compile=true: works in one process alone, and this run has 2 processes; leave it out"),
        (["sync_batchnorm=true"], "sync_batchnorm=true: torch has none on device cpu, only on cuda; set"),
        (
            ["model.batchnorm=true", "batch_size=3"],
            "batch_size=3 leaves a process with one sample of a batch of the 201",
        ),
        (["model.batchnorm=true", "batch_size=99"], "batch_size=99 leaves a process with one sample of a batch of"),
    ],
)
def test_refused(overrides, told):
    with pytest.raises(UserError) as caught:
        prepared(TWO, "model=fc", *overrides)
    assert told in str(caught.value)


def test_one_process_is_refused_none_of_it():
    prepared(ALONE, "model=fc", "batch_size=1", "sync_batchnorm=true")
    prepared(ALONE, "model=fc", "model.batchnorm=true", "batch_size=3", "dataset.train_size=200")
    prepared(ALONE, "backend=numpy", "model=fc")


def test_batch_norm_trains_where_each_process_has_two_samples():
    prepared(TWO, "model=fc", "model.batchnorm=true", "batch_size=98")  # 201 leave five for two


@pytest.mark.parametrize("name", ["cuda:1", "cuda:0", "mps"])
def test_one_device_is_not_for_two(name):
    with pytest.raises(UserError, match=f"device={name}: is one device, and this run has 2 processes here"):
        TWO.device(name)


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_each_process_takes_its_own_gpu(name, monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    assert Ranks(5, 8, 1, 2).device(name) == "cuda:1"
    assert chosen == [1]
    with pytest.raises(UserError, match=f"device={name}: 4 processes on a machine of 2 CUDA"):
        Ranks(0, 4, 0, 4).device(name)
    assert ALONE.device(name) == name


def test_the_cores_are_shared_out(monkeypatch):
    monkeypatch.setattr("dlhw.distributed.ranks.cores", lambda: 13)
    assert [Ranks(0, 8, 0, local).share() for local in (1, 4, 8, 64)] == [13, 3, 1, 1]
    assert ALONE.share() is None


def test_launched_reads_all_of_torchruns_variables(monkeypatch):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, str(value))
    assert launched() == Ranks(1, 4, 1, 2)
    monkeypatch.delenv("LOCAL_RANK")
    assert launched() == ALONE


@pytest.mark.parametrize("words", [["-m", "seed=0,1"], ["seeds=2"], ["study=xor"], ["hydra.mode=MULTIRUN"]])
def test_a_sweep_is_refused_by_the_first_process(words, monkeypatch, capsys, own_folder):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(sys, "argv", ["dlhw", *words])
    cli.main()
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(sys, "argv", ["dlhw", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("dlhw: torchrun has many processes train one run; a sweep")
    assert list(own_folder.iterdir()) == []


def test_nothing_of_torchs_is_used_alone(monkeypatch):
    """Neither its sums nor its wrapper."""
    model, values = torch.nn.Linear(1, 1), torch.ones(2)
    monkeypatch.setattr(torch, "distributed", SimpleNamespace())
    assert ALONE.parallel(model) is model
    assert ALONE.with_sync_batchnorm(model, torch.device("cpu")) is model
    assert ALONE.sum(values) is values
    assert ALONE.gather("x") == ["x"]
    ALONE.share_buffers(model)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="two processes on NCCL need two GPUs")
def test_two_gpus(own_folder):
    words = ("model=lenet5", "device=cuda", "batch_size=40", "epochs=15", "plots=none", "cuda_graph=false")
    alone(*words, "hydra.run.dir=one")
    succeed(2, *words, "hydra.run.dir=two")
    assert losses(own_folder / "two") == pytest.approx(losses(own_folder / "one"), rel=1e-4)
    succeed(2, *words, "model.batchnorm=true", "sync_batchnorm=true", "hydra.run.dir=synced")
