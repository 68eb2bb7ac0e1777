"""What the machine offers and what a run takes of it: device, precision, CPU threads, memory."""

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from threadpoolctl import ThreadpoolController

from dlhw.errors import UserError
from dlhw.memory import bounded
from dlhw.process import cores


def choose_device(device: str) -> torch.device:
    """auto: CUDA when it is there, else the CPU. Raises UserError for a device that is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|mps|cuda(:(0|[1-9][0-9]*))?", device):
        raise UserError(f"device={device}: is one of auto, cpu, cuda, cuda:N, mps")
    kind, _, index = device.partition(":")
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            raise UserError(f"device={device}: torch {torch.__version__} finds no CUDA device here; use device=cpu")
        if index and int(index) >= count:
            raise UserError(f"device={device}: this machine has {count} CUDA device(s), cuda:0 to cuda:{count - 1}")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UserError("device=mps: torch finds no Metal device here; use device=cpu")
    return torch.device(device)


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of weights and inputs; bf16 keeps both in float32 and computes under autocast."""
    if precision == "fp64" and device.type == "mps":
        raise UserError("precision=fp64: Metal has no float64; use device=cpu")
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise UserError("precision=bf16: this CUDA device has no bfloat16; use precision=fp32")
    return torch.float64 if precision == "fp64" else torch.float32


BF16_FLOPS = 1e8  # of a sample's forward pass: VGG-16, ResNet-50 and U-Net are above it, the MNIST nets below


def choose_precision(precision: str, device: torch.device, flops: float) -> str:
    """auto: bf16 for large nets where the device multiplies bfloat16 itself, else fp32.

    Measured on a CPU with amx_bf16, together with channels_last: VGG-16 1.9 times as fast as fp32, ResNet-50 2.1;
    LeNet-5 gains nothing.
    """
    if precision != "auto":
        return precision
    return "bf16" if flops >= BF16_FLOPS and multiplies_bf16(device) else "fp32"


def multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool({"amx_bf16", "avx512_bf16"} & cpu_flags())


@cache
def cpu_flags() -> frozenset[str]:
    """What Linux says that the CPU can do; empty elsewhere."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    return frozenset(next((line.split() for line in lines if line.startswith("flags")), []))


FLOPS_PER_THREAD = 0.5e9


def choose_threads(threads: int | str, flops_per_step: float, share: int | None = None) -> int:
    """auto: a thread for each `FLOPS_PER_THREAD` of a training step, one core being left to the rest of the machine.

    share: the cores that this run may take, where others train beside it.

    Torch's default, a thread a core, loses on small nets, and falls to a tenth of one thread's speed as soon as
    anything else runs, since all threads wait at barriers for the one that has no core.
    """
    if threads != "auto":
        return int(threads)
    return max(1, min(share or cores() - 1, int(flops_per_step / FLOPS_PER_THREAD)))


@contextmanager
def cpu_settings(threads: int) -> Iterator[None]:
    """Run with so many CPU threads, subnormals flushed to zero, freed memory kept, and no more than the machine has.

    Adam's moments fill with subnormal numbers, which a CPU computes slowly and which no float32 weight can feel.
    The thread count and the flushing are put back afterwards, since a notebook goes on.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    flushes = torch.set_flush_denormal(True)
    keep_freed_memory()
    try:
        with numpys_blas().limit(limits=threads, user_api="blas"), bounded():
            yield
    finally:
        torch.set_num_threads(before)
        if flushes:
            torch.set_flush_denormal(False)


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """torch's algorithms that give the same bits again, which on CUDA are not always the usual ones.

    An operation that has none raises RuntimeError, in torch's words.
    """
    if not wanted:  # to ask for what is so anyway would import torch's compiler
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS first runs
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@cache  # finding the libraries takes milliseconds
def numpys_blas() -> ThreadpoolController:
    """The libraries whose threads torch does not set: those of NumPy's matrix products."""
    return ThreadpoolController().select(internal_api=["openblas", "blis"])


def keep_freed_memory() -> None:
    """Have glibc keep the large blocks that each step frees, instead of returning them to the kernel.

    A step of LeNet-5 otherwise takes a thousand page faults. Elsewhere than on glibc nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        m_trim_threshold, m_mmap_threshold = -1, -3  # malloc.h
        mallopt(m_mmap_threshold, 1 << 25)  # the most that glibc accepts
        mallopt(m_trim_threshold, 1 << 30)
