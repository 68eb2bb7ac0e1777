"""Memory that does not hold a run: one line that says what would fit, exit code 1, and a folder that says so too."""

import errno
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from short_of_memory import holding

import dlhw
from dlhw.config.compose import composed
from dlhw.config.shipped import hydra_session
from dlhw.errors import OutOfMemory, RunFailed, lacks_memory
from dlhw.prepare import prepare

TINY = ("plots=none", "device=cpu", "threads=1", "dataset.train_size=200", "dataset.val_size=100", "epochs=2")
FC = (*TINY, "model=fc", "model.hidden=[8]", "name=small")
SHORTAGE = r"2\.1 GB more were asked for, [\d.,]+ [MG]B are free"


def raised(work):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        work()
    return caught.value


@pytest.mark.parametrize(
    "work",
    [lambda: torch.empty(2**60), lambda: np.empty(2**50), lambda: bytearray(2**60),
     lambda: torch.tensor(1.0).expand(2**45).contiguous()],
)  # fmt: skip
def test_errors_that_lack_memory_are_known_by_trying(work):
    assert lacks_memory(raised(work))


@pytest.mark.parametrize(
    ("error", "lacks"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("std::bad_alloc"), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (RuntimeError("could not create a primitive descriptor for the convolution"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x64 and 784x8)"), False),
        (ValueError("out of memory"), False),
        (RunFailed("the training loss is nan"), False),
    ],
)  # fmt: skip
def test_errors_that_lack_memory_are_told_from_others(error, lacks):
    assert lacks_memory(error) is lacks


LIMITED = r"""
import dlhw, os, re, resource, sys
from dlhw.errors import OutOfMemory
tiny = ("epochs=1", "plots=none", "threads=1", "model=fc")
dlhw.run(*tiny, "limit_batches=1")  # imports what a run needs
size = 1024 * int(re.search(r"VmSize:\s+(\d+)", open("/proc/self/status").read())[1])
resource.setrlimit(resource.RLIMIT_AS, (size + 150 * 10**6,) * 2)
wide = ("model.hidden=[20000]", "dataset.image_size=8", "dataset.val_size=0", "optimizer=sgd", "limit_batches=9")

def end(batch_size):
    "Of a run in a process of its own."
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            told = str(dlhw.run(*tiny, *wide, f"batch_size={batch_size}").results["test/loss"])
        except OutOfMemory as error:
            told = str(error)
        os.write(writer, told.encode())
        os._exit(0)
    return os.read(reader, 1000).decode()

first = end(700)
named = re.search(r"batch_size=(\d+) would fit", first)[1]
print(first, named, end(named), end(1400), sep="\n", file=sys.stderr)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux heeds RLIMIT_AS")
def test_the_batch_size_that_is_named_trains_and_twice_the_other_does_not():
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    first, named, there, twice = done.stderr.splitlines()[-4:]
    assert re.match(r"out of memory on cpu in epoch 1: batch_size=700 does not fit: \d+ MB more were asked", first)
    assert 64 <= int(named) < 700
    assert float(there) < 3
    assert "batch_size=1400 does not fit" in twice


def test_little_memory_on_a_cpu_is_told_in_one_line(little, typed):
    """By the bound, where Linux would otherwise promise memory and then kill."""
    little(170 * 10**6)
    wide = ("model=fc", "model.hidden=[50000]", "dataset.image_size=8", "optimizer=sgd", "dataset.val_size=0")
    code, _, told = typed("dlhw", *wide, "batch_size=1000", "plots=none", "threads=1", "device=cpu", "name=wide")
    assert (code, told.count("\n")) == (1, 1)
    assert re.match(r"dlhw: out of memory on cpu in epoch 1: batch_size=1000 does not .*; batch_size=\d+ would fit",
                    told)  # fmt: skip
    (status,) = Path().glob("outputs/runs/wide/*/status.json")
    content = json.loads(status.read_text())
    assert content["status"] == "failed"
    assert f"dlhw: {content['error']}\n" == told


@pytest.mark.parametrize(("samples", "named"), [(80, 64), (79, 32), (1, 1)])
def test_a_quarter_more_than_what_is_named_fits(samples, named):
    with holding(samples, training=True), pytest.raises(OutOfMemory) as caught:
        dlhw.run(*FC, "batch_size=100")
    assert re.fullmatch(
        f"out of memory on cpu in epoch 1: batch_size=100 does not fit: {SHORTAGE}; batch_size={named} would fit",
        str(caught.value),
    )


def test_where_nothing_fits_the_model_is_too_large():
    with holding(0, training=True), pytest.raises(OutOfMemory) as caught:
        dlhw.run(*FC, "batch_size=100")
    assert str(caught.value).endswith("no smaller one would, beside 6,370 parameters and their optimizer's: take a "
                                      "smaller model")  # fmt: skip


def test_the_last_checkpoint_stays_and_the_run_goes_on_from_it():
    whole = dlhw.run(*FC, "epochs=3", "batch_size=100")

    def fail_from_the_second_epoch(trainer, forward):
        def failing(inputs, targets):
            if trainer.epoch == 2 and len(inputs) > 10 and trainer.model.training:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return forward(inputs, targets)

        return failing

    from dlhw import trainer as module

    fit = module.Trainer.fit
    with pytest.MonkeyPatch.context() as patch:

        def failing_fit(self, *args):
            self.forward = fail_from_the_second_epoch(self, self.forward)
            yield from fit(self, *args)

        patch.setattr(module.Trainer, "fit", failing_fit)
        with pytest.raises(OutOfMemory, match=r"in epoch 3: batch_size=100 .*; batch_size=8 would fit"):
            dlhw.run(*FC, "epochs=3", "batch_size=100", "hydra.run.dir=short")
    status = json.loads(Path("short/status.json").read_text())
    assert status["status"] == "failed"
    assert "OutOfMemoryError" in status["traceback"]
    resumed = dlhw.run("resume=short")
    assert [row["train/loss"] for row in resumed.rows] == [row["train/loss"] for row in whole.rows]


def test_evaluation_takes_what_fits_and_finds_the_same(typed):
    runs = {}
    for samples in (10**6, 7):
        with holding(samples, training=False) as seen:
            runs[samples] = dlhw.run(*FC, "batch_size=20", f"hydra.run.dir=held/{samples}")
        assert max(size for size in seen if size <= samples) == min(samples, 360)
    assert sum(size > 7 for size in seen) <= 8  # 100 of val halved once and for all, then 360 of test not tried again
    whole, parts = (runs[samples].results for samples in (10**6, 7))
    for key in ("val/loss", "val/accuracy", "test/loss", "test/accuracy"):
        assert parts[key] == pytest.approx(whole[key], rel=1e-5)
    with holding(0, training=False):
        code, _, told = typed("dlhw-eval", "run=held/7")
    assert code == 1
    assert re.fullmatch(f"dlhw: out of memory on cpu: .* does not fit: {SHORTAGE}; .*\n", told)
    with holding(3, training=False):
        code, told, _ = typed("dlhw-eval", "run=held/7")
    assert code == 0
    assert f"test/accuracy {whole['test/accuracy']}" in told


def test_a_loss_that_is_of_the_whole_batch_stays_so():
    """A sum over a batch is not the mean of sums over its parts."""
    with hydra_session() as session:
        config = composed([*session, *FC, "loss=mse", "loss.reduction=sum"])
    trainer = prepare(config).trainer
    whole = trainer.evaluate(trainer.val, "val")
    with holding(9, training=False):
        assert trainer.evaluate(trainer.val, "val") == pytest.approx(whole, rel=1e-5)


def test_one_sample_that_does_not_fit_fails_the_evaluation_and_the_run():
    with holding(2, training=False):  # two are what every run tries before it begins
        trained = dlhw.run(*FC, "epochs=1", "hydra.run.dir=fits")
    assert trained.results["epochs"] == 1
    with holding(1, training=False), pytest.raises(OutOfMemory, match="what the model makes of a few samples"):
        dlhw.run(*FC, "hydra.run.dir=fails")
    assert not Path("fails").exists()


def test_a_data_set_that_does_not_fit(little, typed):
    little(300 * 10**6)
    code, _, told = typed(
        "dlhw", *TINY, "model=fc", "model.hidden=[1]", "dataset.image_size=2000", "dataset.train_size=null"
    )
    assert code == 1
    assert re.fullmatch(r"dlhw: out of memory on cpu: the data set does not fit: \d\.\d GB more were asked for, "
                        r"\d+ MB are free; lower dataset.train_size or dataset.image_size\n", told)  # fmt: skip
    assert not Path("outputs").exists()


def test_a_model_that_does_not_fit(typed):
    code, _, told = typed("dlhw", *TINY, "model=fc", "model.hidden=[8,1000000,1000000]")
    assert code == 1
    assert re.fullmatch(r"dlhw: out of memory on cpu: the model does not fit: 4,000.0 GB more were asked for, "
                        r"[\d.]+ GB are free; take a smaller model\n", told)  # fmt: skip
    assert not Path("outputs").exists()


def test_a_sweep_goes_on_without_the_runs_that_do_not_fit(typed):
    with holding(60, training=True):
        code, out, err = typed("dlhw", "-m", *FC, "batch_size=200,50", "epochs=1", "hydra/launcher=basic")
    assert code == 1
    assert "1 of 2 runs finished" in out
    assert re.search("batch_size=200-.*: out of memory on cpu in epoch 1: .*; batch_size=32 would fit", err)
    states = {}
    for path in Path().glob("outputs/sweeps/*/*/status.json"):
        states[path.parent.name.rpartition("-")[0]] = json.loads(path.read_text())["status"]
    assert states == {"batch_size=200": "failed", "batch_size=50": "finished"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_little_memory_on_a_gpu():
    wide = ("model=fc", "model.hidden=[100000]", "device=cuda", "plots=none", "epochs=1", "dataset.val_size=0")
    torch.cuda.set_per_process_memory_fraction(1e9 / torch.cuda.get_device_properties(0).total_memory)
    try:
        with pytest.raises(OutOfMemory, match="batch_size=1200 does not fit") as caught:
            dlhw.run(*wide, "batch_size=1200")
        named = re.search(r"batch_size=\d+(?= would fit)", str(caught.value))[0]
        assert dlhw.run(*wide, named).results["epochs"] == 1
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
