"""What a result depends on beside the config: versions, machine, the code's commit."""

import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from dlhw.folder.git import git_commit

PACKAGES = ("dlhw", "torch", "torchvision", "numpy", "hydra-core", "omegaconf")


def environment(device: torch.device) -> dict[str, Any]:
    return {
        "versions": {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
        "platform": platform.platform(),
        "device": str(device),
        "device_name": device_name(device),
        "git_commit": git_commit(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
