"""Dropout in lanes: each lane draws its masks from a generator of its own, as it would from torch's if it ran alone."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Masked(nn.Module):
    """In place of a dropout layer where vmap, which draws nothing, runs the model: multiplies by a mask it is given."""

    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.ones(()))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * self.mask if self.training else inputs


class Generators:
    """A lane's copies of torch's global generators, from which a run alone draws its dropout."""

    def __init__(self, device: torch.device) -> None:
        """As the global ones stand now."""
        self.device = device
        self.cpu = torch.Generator()
        self.cpu.set_state(torch.get_rng_state())
        self.masks = self.cpu
        if device.type == "cuda":
            self.masks = torch.Generator(device)
            self.masks.set_state(torch.cuda.get_rng_state(device))

    def make_global(self) -> None:
        """Set the global generators to these, as the lane's checkpoint wants to find them."""
        torch.set_rng_state(self.cpu.get_state())
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(self.masks.get_state(), self.device)


class Masks:
    """Draws the masks of all lanes. On a CPU they are those of the runs alone, bit for bit; on CUDA others, as random.

    models: one a lane, alike but for the rates. generators: one a lane.
    """

    def __init__(self, models: Sequence[nn.Module], generators: Sequence[torch.Generator]) -> None:
        self.models = models
        self.generators = generators
        self.names = [name for name, module in models[0].named_modules() if type(module) is nn.Dropout]
        self.kept = {name: [1 - float(model.get_submodule(name).p) for model in models] for name in self.names}  # type: ignore[arg-type]
        self.divisors: dict[str, Tensor] = {}
        self.examples: dict[torch.Size, dict[str, Tensor]] = {}

    def draw(self, inputs: Tensor) -> dict[str, Tensor]:
        """(L, B, ...) for each dropout layer. inputs: of a step of the first lane, (B, ...)."""
        if not self.names:
            return {}
        if inputs.shape not in self.examples:
            self.examples[inputs.shape] = self.look_through(inputs)
        return {name: self.draw_layer(name, example) for name, example in self.examples[inputs.shape].items()}

    def draw_layer(self, name: str, example: Tensor) -> Tensor:
        """As torch's dropout has it: what is kept is divided by its probability. One operation a lane, one for all."""
        kept = self.kept[name]
        masks = example.new_empty_strided((len(kept), *example.shape), (example.numel(), *example.stride()))
        for mask, keep, generator in zip(masks, kept, self.generators, strict=True):
            if keep < 1:
                mask.bernoulli_(keep, generator=generator)
            else:
                mask.fill_(1)
        return masks.div_(self.divisors[name].view(-1, *[1] * example.ndim))

    def look_through(self, inputs: Tensor) -> dict[str, Tensor]:
        """What reaches each dropout layer, in the order of the calls. Raises ValueError where one is called twice."""
        seen: dict[str, Tensor] = {}

        def hook(name: str) -> Any:
            def record(module: nn.Module, args: tuple[Tensor]) -> None:
                if name in seen:
                    raise ValueError(f"dropout layer {name} is used twice in a step")
                seen[name] = torch.empty_like(args[0])
                wide = torch.promote_types(args[0].dtype, torch.float32)  # in bf16 the divisor would be rounded too
                self.divisors[name] = torch.tensor(self.kept[name], dtype=wide, device=args[0].device)

            return record

        model = self.models[0]
        hooks = [model.get_submodule(name).register_forward_pre_hook(hook(name)) for name in self.names]
        was_training = model.training
        try:
            with torch.no_grad():
                model.eval()(inputs)
        finally:
            model.train(was_training)
            for handle in hooks:
                handle.remove()
        return seen
