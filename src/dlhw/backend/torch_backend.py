"""backend=torch: nothing takes torch's place."""

from torch import nn
from torch.optim import Optimizer


def torch_backend(model: nn.Module, loss_fn: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, nn.Module, Optimizer]:
    return model, loss_fn, optimizer
