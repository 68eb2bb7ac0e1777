"""Masks of lanes are those that torch's dropout draws for a run alone."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dlhw.lanes.dropout import Generators, Masked, Masks

CPU = torch.device("cpu")


def net(rate: float) -> nn.Module:
    layers = [nn.Conv2d(2, 3, 1), nn.Dropout(0.5), nn.Flatten(), nn.Linear(48, 5), nn.Dropout(rate)]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_numbers_of_torch(dtype, layout):
    """Step after step, also of another size, and the generator ends where torch's does."""
    models = [net(rate).to(dtype) for rate in (0.1, 0.0)]
    generators = []
    for seed in (3, 4):
        torch.manual_seed(seed)
        generators.append(Generators(CPU))
    masks = Masks(models, [generator.masks for generator in generators])
    steps = [torch.ones(size, 2, 4, 4, dtype=dtype).to(memory_format=layout) for size in (7, 7, 3)]
    drawn = [masks.draw(inputs) for inputs in steps]
    for lane, (model, seed) in enumerate(zip(models, (3, 4), strict=True)):
        torch.manual_seed(seed)
        for inputs, found in zip(steps, drawn, strict=True):
            hidden = model[0](inputs)
            assert torch.equal(found["1"][lane], F.dropout(torch.ones_like(hidden), 0.5))
            assert torch.equal(found["4"][lane], F.dropout(torch.ones(len(inputs), 5, dtype=dtype), model[4].p))
        state = torch.get_rng_state()
        generators[lane].make_global()
        assert torch.equal(torch.get_rng_state(), state)


def test_a_net_without_dropout_draws_nothing():
    masks = Masks([nn.Linear(2, 2)], [torch.Generator()])
    assert masks.draw(torch.ones(1, 2)) == {}


def test_a_mask_is_for_training():
    layer = Masked()
    layer.mask = torch.tensor([0.0, 2.0])
    assert layer(torch.tensor([3.0, 3.0])).tolist() == [0.0, 6.0]
    assert layer.eval()(torch.tensor([3.0, 3.0])).tolist() == [3.0, 3.0]


def test_the_modules_are_left_as_they_were():
    model = net(0.1).train()
    model[1].eval()
    Masks([model], [torch.Generator()]).draw(torch.ones(2, 2, 4, 4))
    assert model.training
    assert not any(module._forward_pre_hooks for module in model.modules())
