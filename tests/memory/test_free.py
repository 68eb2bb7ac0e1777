"""What is free, and the bound that has Linux refuse what is not."""

import re
import resource
from pathlib import Path

import numpy as np
import pytest
import torch

from dlhw import memory
from dlhw.machine import cpu_settings

MORE = 3 * 2**30  # than glibc keeps of what was freed, and hands out again without asking the kernel
needs_linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux has /proc")


def test_some_memory_is_free():
    assert 2**20 < memory.free_bytes(torch.device("cpu")) < 2**50


def machine(root: Path, available: int, swap: int = 0) -> None:
    (root / "proc/self").mkdir(parents=True)
    kilobytes = f"MemTotal: 9 kB\nMemAvailable:    {available} kB\nSwapFree:   {swap} kB\n"
    (root / "proc/meminfo").write_text(kilobytes)


def cgroup(folder: Path, limit: str, used: int, stat: str = "", version: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    for name, text in zip((*names, "memory.stat"), (f"{limit}\n", f"{used}\n", stat), strict=True):
        (folder / name).write_text(text)


def test_linux_and_its_containers(tmp_path):
    machine(tmp_path, 1000, swap=500)
    assert memory._free_on_linux(tmp_path) == 1_024_000
    assert memory._free_on_linux(tmp_path, swap=True) == 1_536_000
    cgroup(tmp_path / "sys/fs/cgroup", "max", 5000)
    assert memory._free_on_linux(tmp_path) == 1_024_000
    cgroup(tmp_path / "sys/fs/cgroup", "6000", 5000)
    assert memory._free_on_linux(tmp_path) == 1000
    cgroup(tmp_path / "sys/fs/cgroup", "6000", 5000, "anon 9\nactive_file 300\ninactive_file 20\nslab_reclaimable 1\n")
    assert memory._free_on_linux(tmp_path) == 1321  # files that were read are dropped before anything is refused
    cgroup(tmp_path / "sys/fs/cgroup", "6000", 9000)
    assert memory._free_on_linux(tmp_path) == 0


@pytest.mark.parametrize(("version", "line", "mount"), [(2, "0::/slurm/job", ""), (1, "4:memory:/slurm/job", "memory")])
def test_a_job_has_less_than_its_machine(version, line, mount, tmp_path):
    machine(tmp_path, 1000)
    (tmp_path / "proc/self/cgroup").write_text(f"7:cpu:/other\n{line}\n")
    top = tmp_path / "sys/fs/cgroup" / mount
    cgroup(top / "slurm/job", "max" if version == 2 else str(2**63), 0, version=version)
    cgroup(top / "slurm", "7000", 3000, version=version)
    assert memory._free_on_linux(tmp_path) == 4000
    cgroup(top / "slurm/job", "500", 100, version=version)
    assert memory._free_on_linux(tmp_path) == 400


def test_macos(monkeypatch):
    printed = (
        "Mach Virtual Memory Statistics: (page size of 16384 bytes)\nPages free:       100.\n"
        "Pages active:     900.\nPages inactive:   20.\nPages speculative:  3.\nPages purgeable:  1.\n"
    )
    done = type("Done", (), {"stdout": printed})
    monkeypatch.setattr(memory.subprocess, "run", lambda *_, **__: done)
    assert memory._free_on_macos() == 124 * 16384


@needs_linux
def test_what_the_machine_lacks_is_refused_within_the_settings_of_a_run_alone(little):
    before = resource.getrlimit(resource.RLIMIT_DATA)
    little(300 * 2**20)
    with cpu_settings(1):
        np.zeros(100 * 2**20, np.uint8)
        with pytest.raises(MemoryError):
            np.zeros(MORE, np.uint8)
        with pytest.raises(RuntimeError, match="can't allocate memory"):
            torch.zeros(MORE, dtype=torch.uint8)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    np.zeros(500 * 2**20, np.uint8)


@needs_linux
def test_a_limit_of_ones_own_leaves_what_it_leaves():
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    used = 1024 * int(re.search(r"VmData:\s+(\d+)", Path("/proc/self/status").read_text())[1])
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (used + 10**8, hard))
        assert memory.free_bytes(torch.device("cpu")) == pytest.approx(10**8, rel=0.05)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
