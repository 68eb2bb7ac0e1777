"""What a Trainer gets with backend=numpy: a module, a loss and an optimizer to torch, numpy_nn inside."""

from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.optim import Optimizer

from dlhw.backend.layers import NoTwin
from dlhw.backend.losses import loss_of
from dlhw.backend.optimizer import TwinOptimizer
from dlhw.backend.twin import Net
from dlhw.errors import UserError


def numpy_backend(model: nn.Module, loss_fn: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, nn.Module, Optimizer]:
    """Their twins, on the same weights, param_groups and state. Raises UserError for what has none.

    The model has to be where and as it will stay: on the CPU, in float32 or float64, and built into the optimizer.
    """
    check_memory(model)
    try:
        return TwinModule(model), TwinLoss(loss_fn), TwinOptimizer(optimizer)
    except NoTwin as error:
        raise UserError(f"backend=numpy: {error} has no NumPy twin; use backend=torch") from None


def check_memory(model: nn.Module) -> None:
    for name, tensor in model.state_dict().items():
        if tensor.device.type != "cpu":
            raise UserError(f"backend=numpy: {name} is on {tensor.device}, and NumPy has the CPU alone; set device=cpu")
        if tensor.is_floating_point() and tensor.dtype not in (torch.float32, torch.float64):
            raise UserError(f"backend=numpy: {name} is {tensor.dtype}; set precision=fp32 or fp64")


class TwinModule(nn.Module):
    """Has the children, parameters and buffers of `module`, under the same names; only forward is NumPy's."""

    module: nn.Module

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._parameters, self._buffers, self._modules = module._parameters, module._buffers, module._modules
        object.__setattr__(self, "module", module)  # not as a child, which would change the names
        self.net = Net(module)
        self.train(module.training)

    def forward(self, inputs: Tensor) -> Tensor:
        """Dropout draws from torch's global generator, so that a resumed run draws the same."""
        if torch.is_autocast_enabled("cpu"):
            raise UserError("backend=numpy: NumPy has no bf16; set precision=fp32 or fp64")
        if self.training and self.net.dropouts:
            self.net.seed_dropout(int(torch.randint(2**63 - 1, ())))
        outputs: Tensor = ThroughNet.apply(self.net, torch.is_grad_enabled(), inputs, *self.parameters())
        return outputs

    def train(self, mode: bool = True) -> Self:
        self.training = mode
        self.module.train(mode)  # as the module has it: a frozen part stays in evaluation mode
        return self


class ThroughNet(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, net: Net, keep: bool, inputs: Tensor, *parameters: Tensor) -> Tensor:
        outputs = tensor(net.forward(inputs.numpy(), keep))
        ctx.net, ctx.calls = net, net.calls
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, doutputs: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.calls != ctx.net.calls:
            raise RuntimeError("backend=numpy: backward goes with the last forward alone, and there was one since")
        gradients = ctx.net.backward(doutputs.numpy())
        return (
            None,
            None,
            None,
            *(tensor(gradients[name]) if name in gradients else None for name in ctx.net.names.values()),
        )


class TwinLoss(nn.Module):
    """Raises NoTwin."""

    def __init__(self, loss_fn: nn.Module) -> None:
        super().__init__()
        self.twin = loss_of(loss_fn)

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        loss: Tensor = ThroughLoss.apply(self.twin, outputs, targets)
        return loss


class ThroughLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loss: Any, outputs: Tensor, targets: Tensor) -> Tensor:
        ctx.loss = loss
        return torch.tensor(loss.forward(outputs.numpy(), targets.numpy()), dtype=outputs.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dloss: Tensor) -> tuple[Tensor | None, ...]:
        return None, dloss * tensor(ctx.loss.backward()), None


def tensor(array: np.ndarray) -> Tensor:
    """On the array's memory, if torch can use it: without gaps, and writable."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
