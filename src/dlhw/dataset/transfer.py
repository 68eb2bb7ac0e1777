"""From the host's memory to the device's, while the device is still at work on what came before."""

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A CPU tensor on the device, without waiting for it.

    To CUDA through pinned memory: a copy from ordinary memory, even one that is asked not to block, begins only when
    the device has done all that it was given, and has the host wait until then (CUDA's API synchronization behavior).
    """
    source = tensor.pin_memory() if device.type == "cuda" else tensor
    return source.to(device, non_blocking=True)
