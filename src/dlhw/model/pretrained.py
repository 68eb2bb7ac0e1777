"""Weights made elsewhere: those that torchvision publishes, or a file's, fitted to a net with the same names.

The first convolution is adapted where it differs:
- its kernels are summed over their input channels and shared out equally over ours, so that an image whose channels
  are all alike (a grey one repeated, say) gives the same response;
- of a kernel larger than ours the centre is taken (7x7 to 3x3). Its responses are smaller then, and the batch norm
  behind it has to learn its statistics again.
A layer of the head is left as initialised where its shape differs (another num_classes, another head).
"""

import http.client
import pickle
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import torch
from torch import Tensor, nn

from dlhw.errors import UserError, first_line

TIMEOUT = 20.0  # seconds, for a connection and for each read: a server that stalls is given up


def read_weights(weights: str, published: Mapping[str, str], net: str) -> dict[str, Tensor]:
    """The state_dict that `weights` names: one of `published` (name to URL), or a file's path.

    A file holds a state_dict, or is a checkpoint of a run of ours. Raises ValueError for anything else, UserError
    where the network or the file fails.
    """
    if weights in published:
        return download(weights, published[weights], net)
    path = Path(weights).expanduser()
    if not path.is_file():
        known = f"has {', '.join(published)}" if published else "has none"
        raise ValueError(f"weights={weights}: torchvision {known} for {net}, and there is no such file")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise UserError(f"weights={weights}: not a file of torch.save: {first_line(error)}") from None
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"weights={weights}: holds no state_dict (names and tensors)")
    return dict(state)


def download(weights: str, url: str, net: str) -> dict[str, Tensor]:
    """From torch.hub's cache, or into it: its hash is checked, and the file put in place whole."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    try:
        with socket_timeout(TIMEOUT):
            state: dict[str, Any] = torch.hub.load_state_dict_from_url(
                url, map_location="cpu", check_hash=True, progress=sys.stderr.isatty(), weights_only=True
            )
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError, http.client.HTTPException) as error:
        name = url.rpartition("/")[2]
        raise UserError(
            f"weights={weights}: could not be had for {net} ({reason(error)}); check the network, or put {name} "
            f"(from {url}) into {folder}, or give its path as weights"
        ) from None
    return state


@contextmanager
def socket_timeout(seconds: float) -> Iterator[None]:
    """torch.hub opens its connections without one of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, URLError) and not isinstance(error, HTTPError) else error
    if isinstance(cause, TimeoutError):
        return f"silent for {TIMEOUT:g} s"
    return first_line(cause) or type(cause).__name__


def load_weights(net: nn.Module, state: dict[str, Tensor], weights: str, first: str, head: str) -> None:
    """Put `state` into the net: its first convolution `first` adapted, the layers of `head` that do not fit left out.

    Raises ValueError, before anything is changed, where the rest differs from the net.
    """
    own = net.state_dict()
    found = dict(state)
    kernel = f"{first}.weight"
    if kernel in found:
        found[kernel] = adapt_kernels(found[kernel], own[kernel].shape)
    head_layers = {name.rpartition(".")[0] for name in [*own, *found] if name.startswith(f"{head}.")}
    for layer in head_layers:
        tensors = [{n: t.shape for n, t in d.items() if n.rpartition(".")[0] == layer} for d in (own, found)]
        if tensors[0] != tensors[1]:
            found = {name: t for name, t in found.items() if name.rpartition(".")[0] != layer}
    for name in dict.fromkeys([*own, *found]):
        if name.rpartition(".")[0] in head_layers:
            continue
        if name not in own:
            raise ValueError(f"weights={weights}: holds {name}, which this net does not have")
        if name not in found and not name.endswith("num_batches_tracked"):  # unknown to files before torch 0.4.1
            raise ValueError(f"weights={weights}: lacks {name}")
        if name in found and found[name].shape != own[name].shape:
            shapes = f"{tuple(found[name].shape)}, this net's is {tuple(own[name].shape)}"
            raise ValueError(f"weights={weights}: its {name} is {shapes}")
    net.load_state_dict({**own, **found})


def adapt_kernels(kernels: Tensor, shape: torch.Size) -> Tensor:
    """(out, in, h, w) as far towards `shape` as the header says."""
    if kernels.ndim != 4:
        return kernels
    n_in, height, width = shape[1:]
    if kernels.shape[1] != n_in:
        kernels = kernels.sum(1, keepdim=True).expand(-1, n_in, -1, -1) / n_in
    top, left = max(0, kernels.shape[2] - height) // 2, max(0, kernels.shape[3] - width) // 2
    return kernels[:, :, top : top + height, left : left + width]
