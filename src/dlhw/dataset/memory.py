"""How much memory is free on a device: whether a data set can live there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import torch


def free_bytes(device: torch.device) -> int:
    """Free memory of a GPU; for the CPU, and for mps which shares its memory, what the system could hand out now."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return _free_on_macos() if sys.platform == "darwin" else _free_on_linux()


def _free_on_linux(root: Path = Path("/")) -> int:
    """MemAvailable, or what a container's limit (cgroup 2) leaves if that is less."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", (root / "proc/meminfo").read_text(), re.MULTILINE)
        free = int(found[1]) * 1024 if found else 0
    except OSError:
        free = 0
    free = free or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    try:
        limit = (root / "sys/fs/cgroup/memory.max").read_text().strip()
        used = int((root / "sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):
        return free
    return free if limit == "max" else max(0, min(free, int(limit) - used))


def _free_on_macos() -> int:
    """Free, inactive, speculative and purgeable pages, as vm_stat prints them."""
    printed = subprocess.run(["vm_stat"], capture_output=True, text=True, check=True).stdout
    page = re.search(r"page size of (\d+) bytes", printed)
    pages = re.findall(r"^Pages (?:free|inactive|speculative|purgeable):\s+(\d+)\.", printed, re.MULTILINE)
    return sum(map(int, pages)) * int(page[1] if page else 4096)
