import torch

from dlhw.dataset import memory


def test_some_memory_is_free():
    assert 2**20 < memory.free_bytes(torch.device("cpu")) < 2**50


def test_linux_and_its_containers(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    1000 kB\n")
    assert memory._free_on_linux(tmp_path) == 1_024_000
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("max\n")
    (tmp_path / "sys/fs/cgroup/memory.current").write_text("5000\n")
    assert memory._free_on_linux(tmp_path) == 1_024_000
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("6000\n")
    assert memory._free_on_linux(tmp_path) == 1000


def test_macos(monkeypatch):
    printed = (
        "Mach Virtual Memory Statistics: (page size of 16384 bytes)\nPages free:       100.\n"
        "Pages active:     900.\nPages inactive:   20.\nPages speculative:  3.\nPages purgeable:  1.\n"
    )
    done = type("Done", (), {"stdout": printed})
    monkeypatch.setattr(memory.subprocess, "run", lambda *_, **__: done)
    assert memory._free_on_macos() == 124 * 16384
