"""How much memory is free, a bound that turns the lack of it into an error, and evaluation in as little as there is."""

import ctypes
import gc
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from dlhw.errors import lacks_memory

OWN_LIMITS = {"RLIMIT_DATA": "VmData", "RLIMIT_AS": "VmSize"}  # `ulimit -d`, `ulimit -v`, and what counts for each
CGROUP_FILES = (  # limit, use, and what of the use is files that the kernel would drop; of versions 2 and 1
    ("memory.max", "memory.current", ("active_file", "inactive_file", "slab_reclaimable")),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_active_file", "total_inactive_file")),
)


def let_go(error: BaseException) -> None:
    """Free what the frames of an error hold, and what glibc and torch keep for later."""
    traceback.clear_frames(error.__traceback__)
    gc.collect(1)  # what has just failed is young; a full collection takes 0.2 s
    if sys.platform.startswith("linux") and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def in_parts(model: nn.Module, inputs: Tensor, at_once: int) -> tuple[Tensor, int]:
    """A net's outputs for a batch in evaluation, and how many samples at a time memory has held: `at_once` or fewer."""
    try:
        parts = [model(part) for part in torch.split(inputs, at_once)]
        return (parts[0] if len(parts) == 1 else torch.cat(parts)), at_once
    except Exception as error:
        if min(at_once, len(inputs)) == 1 or not lacks_memory(error):
            raise
        let_go(error)
    return in_parts(model, inputs, -(-min(at_once, len(inputs)) // 2))


@contextmanager
def bounded() -> Iterator[None]:
    """Have Linux refuse this process more memory than is free now, where it would promise it and then kill a process.

    Nothing is done elsewhere, nor where CUDA is in use, whose driver maps more than there is.
    """
    if not sys.platform.startswith("linux") or torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = _own("VmData") + _free_on_linux(swap=True)
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def free_bytes(device: torch.device) -> int:
    """Free memory of a GPU; for the CPU, and for mps which shares its memory, what the system could hand out now."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return _free_on_macos() if sys.platform == "darwin" else _free_on_linux()


def _free_on_linux(root: Path = Path("/"), swap: bool = False) -> int:
    """What the machine has, or what limits of containers, jobs and `ulimit` leave if that is less."""
    try:
        counted = "MemAvailable|SwapFree" if swap else "MemAvailable"
        found = re.findall(rf"^(?:{counted}):\s+(\d+) kB", (root / "proc/meminfo").read_text(), re.MULTILINE)
        free = sum(map(int, found)) * 1024
    except OSError:
        free = 0
    free = free or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    left = [_left_in_cgroup(folder) for folder in _cgroups(root)]
    return max(0, min([free, *(own for own in (*left, *_left_of_own_limits()) if own is not None)]))


def _cgroups(root: Path) -> Iterator[Path]:
    """The folders of the process's control groups and of all above them, whose limits hold as well."""
    mount = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    yield from (mount, mount / "memory")  # what a container sees of its own
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            own = mount / controllers / path.lstrip("/")
            yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(mount / controllers))


def _left_in_cgroup(folder: Path) -> int | None:
    """Below its limit; None where it has none."""
    for limit, use, files in CGROUP_FILES:
        with suppress(OSError, ValueError):  # "max" is no number
            most, used = int((folder / limit).read_text()), int((folder / use).read_text())
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            return most - used + sum(int(stat.get(name, 0)) for name in files)
    return None


def _left_of_own_limits() -> Iterator[int]:
    if sys.platform.startswith("linux"):
        import resource

        for name, counted in OWN_LIMITS.items():
            limit = resource.getrlimit(getattr(resource, name))[0]
            if limit != resource.RLIM_INFINITY:
                yield limit - _own(counted)


def _own(counted: str) -> int:
    """Bytes that the kernel counts of this process: VmData, VmSize."""
    found = re.search(rf"^{counted}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _free_on_macos() -> int:
    """Free, inactive, speculative and purgeable pages, as vm_stat prints them."""
    printed = subprocess.run(["vm_stat"], capture_output=True, text=True, check=True).stdout
    page = re.search(r"page size of (\d+) bytes", printed)
    pages = re.findall(r"^Pages (?:free|inactive|speculative|purgeable):\s+(\d+)\.", printed, re.MULTILINE)
    return sum(map(int, pages)) * int(page[1] if page else 4096)
