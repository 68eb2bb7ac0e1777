"""Device, precision, threads."""

import os
import subprocess
import sys

import pytest
import torch
from small_runs import FC, run

from dlhw import machine
from dlhw.errors import RunFailed, UserError
from dlhw.eval_cli import parse
from dlhw.evaluation import evaluate
from dlhw.machine import (
    FLOPS_PER_THREAD,
    choose_device,
    choose_dtype,
    choose_precision,
    choose_threads,
    cpu_settings,
)
from dlhw.process import cores

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("flops", "expected"),
    [
        (0, 1),
        (0.5 * FLOPS_PER_THREAD, 1),
        (2 * FLOPS_PER_THREAD - 1, 1),
        (2 * FLOPS_PER_THREAD, 2),
        (3.99 * FLOPS_PER_THREAD, 3),
        (7 * FLOPS_PER_THREAD, 7),
        (1e18, 7),
    ],
)
def test_auto_gives_a_thread_for_so_much_work_and_leaves_one_core(flops, expected, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 8)
    assert choose_threads("auto", flops) == expected


@pytest.mark.parametrize("threads", [1, 3, 64])
def test_threads_that_are_asked_for_are_taken(threads):
    assert choose_threads(threads, 1e18) == threads


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 5}, raising=False)
    assert cores() == 2


def test_a_one_core_machine_gets_one_thread(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 1)
    assert choose_threads("auto", 1e18) == 1


def test_settings_are_put_back():
    tiny = torch.tensor([1e-40])  # subnormal
    torch.set_num_threads(2)
    with cpu_settings(3):
        assert torch.get_num_threads() == 3
        flushed = (tiny * 0.5).item()
    assert torch.get_num_threads() == 2
    assert (tiny * 0.5).item() > 0
    assert flushed == 0 or not torch.set_flush_denormal(False)  # a CPU that cannot flush keeps them


def test_settings_are_put_back_after_a_failure():
    with pytest.raises(KeyError), cpu_settings(3):
        raise KeyError
    assert torch.get_num_threads() == 1


def test_a_run_puts_the_threads_back(tmp_path):
    torch.set_num_threads(3)
    assert run(tmp_path / "run", *FC, "epochs=1", "threads=2").results["threads"] == 2
    assert torch.get_num_threads() == 3
    with pytest.raises(RunFailed):
        run(tmp_path / "failed", *FC, "epochs=1", "threads=2", "optimizer=sgd", "optimizer.lr=1e38", "batch_size=10")
    assert torch.get_num_threads() == 3


def no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def two_cudas(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_auto_is_cuda_where_it_is_there(monkeypatch):
    two_cudas(monkeypatch)
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    no_cuda(monkeypatch)
    assert choose_device("auto") == CPU


@pytest.mark.parametrize(
    "device", ["gpu", "cpu:0", "mps:1", "cuda:one", "cuda:-1", "cpu:", "cuda:", "cuda:01", "", "CUDA"]
)
@pytest.mark.parametrize("machine_has", [no_cuda, two_cudas])
def test_what_is_no_device_is_refused(device, machine_has, monkeypatch):
    machine_has(monkeypatch)
    with pytest.raises(UserError, match=rf"^device={device}: .*cuda:N"):
        choose_device(device)


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    no_cuda(monkeypatch)
    for device in ("cuda", "cuda:0"):
        with pytest.raises(UserError, match=rf"^device={device}: torch .* finds no CUDA device here; use device=cpu"):
            choose_device(device)
    two_cudas(monkeypatch)
    with pytest.raises(UserError, match=r"^device=cuda:2: this machine has 2 CUDA device\(s\), cuda:0 to cuda:1"):
        choose_device("cuda:2")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"^device=mps: .*use device=cpu"):
        choose_device("mps")


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("auto", torch.float32), ("fp32", torch.float32), ("bf16", torch.float32), ("fp64", torch.float64)],
)
def test_dtype_of_the_weights(precision, dtype):
    assert choose_dtype(precision, CPU) == dtype


def test_precisions_that_a_device_lacks_are_refused(monkeypatch):
    with pytest.raises(UserError, match=r"^precision=fp64: "):
        choose_dtype("fp64", torch.device("mps"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    with pytest.raises(UserError, match=r"^precision=bf16: "):
        choose_dtype("bf16", torch.device("cuda"))


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cpu:0"])
def test_a_run_on_a_device_that_is_not_there_writes_nothing(device, tmp_path):
    with pytest.raises(UserError, match=f"^device={device}: "):
        run(tmp_path / "run", *FC, f"device={device}")
    assert not (tmp_path / "run").exists()


VGG16, RESNET50, CANVAS_UNET, LENET5 = 6.3e8, 2.6e9, 3.7e8, 8.3e5  # FLOPs of a sample, as results.json has them


@pytest.mark.parametrize("flags", [{"amx_bf16"}, {"avx512_bf16", "avx2"}])
def test_auto_is_bf16_for_large_nets_where_the_cpu_multiplies_it(flags, monkeypatch):
    monkeypatch.setattr(machine, "cpu_flags", lambda: frozenset(flags))
    cpu = torch.device("cpu")
    assert [choose_precision("auto", cpu, flops) for flops in (VGG16, RESNET50, CANVAS_UNET)] == ["bf16"] * 3
    assert choose_precision("auto", cpu, LENET5) == "fp32"
    assert choose_precision("fp32", cpu, VGG16) == "fp32"
    assert choose_precision("auto", torch.device("mps"), VGG16) == "fp32"


@pytest.mark.parametrize("flags", [set(), {"avx2", "avx512f"}])
def test_auto_is_fp32_on_other_cpus(flags, monkeypatch):
    monkeypatch.setattr(machine, "cpu_flags", lambda: frozenset(flags))
    assert choose_precision("auto", torch.device("cpu"), RESNET50) == "fp32"
    assert choose_precision("bf16", torch.device("cpu"), LENET5) == "bf16"


def test_a_run_records_the_precision_that_auto_chose_and_is_evaluated_in_it(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "cpu_flags", lambda: frozenset({"amx_bf16"}))
    monkeypatch.setattr(machine, "BF16_FLOPS", 1e3)
    done = run(tmp_path / "run", *FC, "epochs=1")
    assert done.results["precision"] == "bf16"
    monkeypatch.undo()
    again = evaluate(parse([f"run={done.folder}", "device=cpu"]))
    assert again["test/loss"] == done.results["test/loss"]
    assert run(tmp_path / "fp32", *FC, "epochs=1").results["test/loss"] != done.results["test/loss"]


@pytest.mark.parametrize(("own", "expected"), [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7")])
def test_waiting_threads_sleep_soon_unless_the_user_has_said_how(own, expected):
    """Before torch is loaded, which is when OpenMP reads it."""
    code = "import dlhw.cli, os, sys; print('torch' in sys.modules, os.environ['GOMP_SPINCOUNT'])"
    inherited = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"}
    told = subprocess.run([sys.executable, "-c", code], env=inherited | own, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", expected]
