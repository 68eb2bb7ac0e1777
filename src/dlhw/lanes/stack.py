"""The lanes' tensors as one: for each name a tensor (L, ...), of which every lane has its own slice at home."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

Name = TypeVar("Name", bound=Hashable)


class Stack(Generic[Name]):
    """Tensors (L, ...) by name. Training changes them here; `give_back` brings the lanes' own up to date."""

    def __init__(self, own: Sequence[Mapping[Name, Tensor]]) -> None:
        """own: each lane's tensors; one that a lane has not, and another has, is zero here (an unused momentum)."""
        self.own = own
        like = {name: tensor for tensors in own for name, tensor in tensors.items()}
        self.tensors = {
            name: torch.stack([tensors.get(name, torch.zeros_like(tensor)).detach() for tensors in own])
            for name, tensor in like.items()
        }

    @torch.no_grad()
    def give_back(self) -> None:
        """Copied, not shared: a file that holds a slice of a stack would hold the whole of it."""
        for index, tensors in enumerate(self.own):
            for name, tensor in tensors.items():
                tensor.copy_(self.tensors[name][index])
