"""Lanes as one program: the nets of several trainers, stacked; a step of all of them, and their evaluation."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from dlhw.lanes.captured import Captured
from dlhw.lanes.dropout import Masks
from dlhw.lanes.objective import Objective, fixed_tensors, trained_tensors
from dlhw.lanes.optim import RULES, Hyperparameters, begin_state
from dlhw.lanes.stack import Stack
from dlhw.trainer import Trainer

Batch = tuple[Tensor, Tensor]  # inputs and targets of all lanes: (L, B, ...), (L, B, ...)


class Program:
    """The nets of trainers that stand at the same step. Training leaves theirs behind; `give_back` has them catch up.

    generators: of each lane's dropout.
    """

    def __init__(
        self, trainers: Sequence[Trainer], generators: Sequence[torch.Generator], cuda_graph: bool = True
    ) -> None:
        first = trainers[0]
        for trainer in trainers:
            begin_state(trainer.optimizer)
        self.trainers = trainers
        self.device, self.bf16, self.clip_grad_norm = first.device, first.bf16, first.clip_grad_norm
        self.objective = Objective(first.model, first.loss_fn).eval()
        self.params = Stack([trained_tensors(trainer.model) for trainer in trainers])
        self.fixed = Stack([fixed_tensors(trainer.model, trainer.loss_fn) for trainer in trainers])
        self.state = Stack([state_tensors(trainer) for trainer in trainers])
        for param in self.params.tensors.values():
            param.requires_grad_()
        groups = [trainer.optimizer.param_groups[0] for trainer in trainers]
        self.rule = RULES[type(first.optimizer)](groups[0])
        self.hyperparameters = Hyperparameters(groups, self.device)
        self.steps = torch.tensor(first.step, dtype=torch.float64, device=self.device)  # taken
        self.masks = Masks([trainer.model for trainer in trainers], generators)
        self.whole_step: Callable[..., tuple[Tensor, ...]] = self.step_on_one_batch
        if cuda_graph and self.device.type == "cuda":
            changed = [*self.params.tensors.values(), *self.fixed.tensors.values(), *self.state.tensors.values()]
            self.whole_step = Captured(self.step_on_one_batch, [*changed, self.steps])

    def train_step(self, batches: Sequence[Batch]) -> tuple[Tensor, list[Tensor]]:
        """One update of each lane from its part of the batches.

        Returns the lanes' mean losses (L,), and of each batch the raw outputs (L, B, ...), all detached.
        """
        if not self.objective.training:  # to set it anew in each step takes as long as all else here
            self.objective.train()
        self.hyperparameters.refresh()
        masks = [self.drawn(inputs[0]) for inputs, _ in batches]
        if len(batches) == 1:
            losses, outputs = self.whole_step(*batches[0], *masks[0])
            return losses, [outputs]
        return self.step_on_several(batches, masks)

    def step_on_one_batch(self, inputs: Tensor, targets: Tensor, *masks: Tensor) -> tuple[Tensor, Tensor]:
        losses, outputs = self.forward(inputs, targets, masks)
        self.update(self.gradients(losses))
        return losses.detach(), outputs.detach()

    def step_on_several(
        self, batches: Sequence[Batch], masks: Sequence[Sequence[Tensor]]
    ) -> tuple[Tensor, list[Tensor]]:
        """A short last batch weighs less."""
        sizes = [targets.shape[1] for _, targets in batches]
        total, sums, outputs = None, None, []
        for size, (inputs, targets), drawn in zip(sizes, batches, masks, strict=True):
            losses, found = self.forward(inputs, targets, drawn)
            losses = losses * (size / sum(sizes))
            grads = self.gradients(losses)
            sums = grads if sums is None else [a + b for a, b in zip(sums, grads, strict=True)]
            total = losses.detach() if total is None else total + losses.detach()
            outputs.append(found.detach())
        assert total is not None  # there is a batch
        assert sums is not None
        self.update(sums)
        return total, outputs

    @torch.no_grad()
    def evaluate(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean losses (L,) and raw outputs (L, B, ...), in evaluation mode."""
        self.objective.eval()
        return self.forward(*batch)

    def forward(self, inputs: Tensor, targets: Tensor, masks: Sequence[Tensor] = ()) -> tuple[Tensor, Tensor]:
        """The objective of each lane. Batch norm moves its statistics in the stack."""
        drawn = {f"model.{name}.mask": mask for name, mask in zip(self.masks.names, masks, strict=False)}
        tensors = {**self.params.tensors, **self.fixed.tensors, **drawn}
        with self.autocast():
            losses, outputs = vmap(partial(functional_call, self.objective))(tensors, (inputs, targets))
        return losses, outputs

    def gradients(self, losses: Tensor) -> list[Tensor]:
        """(L, ...) for each trained tensor: a lane's loss depends on its own slice alone."""
        return list(torch.autograd.grad(losses.sum(), list(self.params.tensors.values())))

    @torch.no_grad()
    def update(self, grads: list[Tensor]) -> None:
        self.steps.add_(1)
        if self.clip_grad_norm is not None:
            grads = clipped(grads, self.clip_grad_norm)
        factors = self.rule.factors(self.hyperparameters.numbers(), self.steps)
        for (name, param), grad in zip(self.params.tensors.items(), grads, strict=True):
            state = {key: tensor for (owner, key), tensor in self.state.tensors.items() if owner == name}
            by = {key: beside(factor.to(param.dtype), param) for key, factor in factors.items()}
            self.rule.apply(param, grad, state, by)

    def drawn(self, inputs: Tensor) -> list[Tensor]:
        """The masks of a step; inputs: the first lane's."""
        with self.autocast():
            masks = self.masks.draw(inputs)
        return [masks[name] for name in self.masks.names]

    def autocast(self) -> torch.autocast:
        """Without its cache, whose tensors a CUDA graph would lose."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16, cache_enabled=False)

    def give_back(self) -> None:
        """Bring the trainers' models and optimizers up to date, which have taken `trainer.step` steps now."""
        for stack in (self.params, self.fixed, self.state):
            stack.give_back()
        for trainer in self.trainers:
            for state in trainer.optimizer.state.values():
                if "step" in state:
                    state["step"].fill_(trainer.step)


def state_tensors(trainer: Trainer) -> dict[tuple[str, str], Tensor]:
    """An optimizer's tensors by the parameter's name and their own, but the count of steps, which all lanes share."""
    return {
        (name, key): tensor
        for name, param in trained_tensors(trainer.model).items()
        for key, tensor in trainer.optimizer.state.get(param, {}).items()
        if isinstance(tensor, Tensor) and key != "step"
    }


def clipped(grads: Sequence[Tensor], max_norm: float) -> list[Tensor]:
    """Each lane's gradients as torch's clip_grad_norm_ has them."""
    norms = torch.stack([torch.linalg.vector_norm(grad.flatten(1), dim=1) for grad in map(with_columns, grads)])
    factors = (max_norm / (torch.linalg.vector_norm(norms, dim=0) + 1e-6)).clamp(max=1.0)
    return [grad * beside(factors, grad) for grad in grads]


def with_columns(tensor: Tensor) -> Tensor:
    """(L, ...), of two dimensions at least."""
    return tensor.unsqueeze(1) if tensor.ndim == 1 else tensor


def beside(numbers: Tensor, tensor: Tensor) -> Tensor:
    """(L,) as (L, 1, ...), to be multiplied with (L, ...)."""
    return numbers.view(-1, *[1] * (tensor.ndim - 1))
