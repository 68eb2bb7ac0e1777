"""A model and its loss as one function of tensors, so that everything in which lanes differ is a tensor of it."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dlhw.lanes.dropout import Masked


class SmoothedCrossEntropy(nn.Module):
    """torch's CrossEntropyLoss whose label_smoothing is a tensor."""

    label_smoothing: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("label_smoothing", torch.zeros(()))

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        log_probs = outputs.log_softmax(1)
        hard, even = F.nll_loss(log_probs, targets), -log_probs.mean()
        return hard + self.label_smoothing * (even - hard)


class Objective(nn.Module):
    """From (B, ...) inputs and targets to the mean loss and the raw outputs, of one lane; it never sees the others.

    A copy of a lane's modules that serves all lanes: `torch.func.functional_call` brings each one's tensors.
    """

    def __init__(self, model: nn.Module, loss_fn: nn.Module) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        self.loss_fn = SmoothedCrossEntropy() if is_plain_cross_entropy(loss_fn) else copy.deepcopy(loss_fn)
        for name, module in list(self.named_modules()):
            if type(module) is nn.Dropout:
                parent, _, child = name.rpartition(".")
                setattr(self.get_submodule(parent), child, Masked())

    def forward(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self.model(inputs)
        return self.loss_fn(outputs, targets), outputs


def is_plain_cross_entropy(loss_fn: nn.Module) -> bool:
    """Whether nothing but label_smoothing is set."""
    if type(loss_fn) is not nn.CrossEntropyLoss:
        return False
    return loss_fn.weight is None and loss_fn.ignore_index == -100 and loss_fn.reduction == "mean"


def fixed_tensors(model: nn.Module, loss_fn: nn.Module) -> dict[str, Tensor]:
    """What an objective of these has beside the parameters that are trained: buffers, frozen weights, smoothing."""
    parts = nn.ModuleDict({"model": model, "loss_fn": loss_fn})
    found = dict(parts.named_buffers()) | {name: p for name, p in parts.named_parameters() if not p.requires_grad}
    if is_plain_cross_entropy(loss_fn):
        like = next(model.parameters())
        found["loss_fn.label_smoothing"] = like.new_tensor(loss_fn.label_smoothing)
    return found


def trained_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The parameters that are trained, by the names that an objective has for them."""
    return {f"model.{name}": param for name, param in model.named_parameters() if param.requires_grad}


def described(model: nn.Module) -> list[str]:
    """What makes two models run as one: their layers, without rates of dropout, and the shapes of their tensors."""
    layers = [
        f"{name} {type(layer).__name__} {'' if type(layer) is nn.Dropout else layer.extra_repr()}"
        for name, layer in model.named_modules()
    ]
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return [*layers, *(f"{name} {tuple(t.shape)} {t.dtype} {t.requires_grad}" for name, t in tensors)]
