"""Parts of a net that do not learn."""

from typing import Self

from torch import nn


class Freezable(nn.Module):
    """A net of which some children may be frozen: they get no gradient, and their batch norms keep their statistics.

    In training mode too the frozen children stay in evaluation mode.
    """

    frozen: tuple[str, ...] = ()

    def freeze_all_but(self, head: str) -> None:
        self.frozen = tuple(name for name, _ in self.named_children() if name != head)
        for name in self.frozen:
            self.get_submodule(name).requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        return self
