"""Optimizers that keep off torch._dynamo take the steps that torch's take."""

import subprocess
import sys

import pytest
import torch
from torch.optim.optimizer import Optimizer

from dlhw.eager import plain_step

SCRIPT = """
import sys, torch
from torch.optim.optimizer import Optimizer
from torch.utils.flop_counter import FlopCounterMode
from dlhw.eager import METHODS, without_compiler

torch.set_num_threads(1)
KINDS = (torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop, torch.optim.NAdam)
torchs = {kind: kind.step for kind in KINDS}

def trained(kind):
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimizer = kind(model.parameters(), lr=0.1)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))]})
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    for _ in range(3):
        model(torch.ones(4, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
    optimizer.load_state_dict(optimizer.state_dict())
    return [p.tolist() for p in model.parameters()]

def told():
    with FlopCounterMode(display=False) as counter:
        torch.nn.Linear(3, 2)(torch.ones(4, 3))
    return [trained(kind) for kind in KINDS], counter.get_total_flops()

without_compiler()
assert all(kind.step is not torchs[kind] for kind in KINDS)
plain = told()
assert "torch._dynamo" not in sys.modules, "without"

assert torch.compile(lambda x: 2 * x, backend="eager")(torch.ones(2)).tolist() == [2, 2]
assert "torch._dynamo" in sys.modules
assert told() == plain, "beside a compiled function"

for kind, step in torchs.items():
    kind.step = step
for name in METHODS:
    del getattr(Optimizer, name).__wrapped__.__dynamo_disable
assert told() == plain, "torch's own"

without_compiler()
assert all(kind.step.__wrapped__ is torchs[kind] for kind in KINDS), "too late"
"""


def test_steps_without_the_compiler_are_torchs_own_and_a_function_can_be_compiled_still() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("differentiable", [False, True])
def test_a_plain_step_takes_gradients_where_the_optimizer_does(differentiable: bool) -> None:
    class Told(Optimizer):
        @plain_step
        def step(self, told):
            return told, torch.is_grad_enabled()

    optimizer = Told([torch.zeros(1)], {"differentiable": differentiable})
    assert optimizer.step("told") == ("told", differentiable)
    assert torch.is_grad_enabled()
    with torch.no_grad():
        assert optimizer.step("told") == ("told", differentiable)
        assert not torch.is_grad_enabled()
