"""torch's optimizers and its FLOP counter without torch.compile, which is never asked to compile those.

When first called, they import torch._dynamo to keep it from tracing them: 1.2 s, more than all else that stands between
`import torch` and the first step. A model that is compiled imports it as ever.
"""

import functools
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import optimizer
from torch.optim.optimizer import Optimizer
from torch.utils import flop_counter

METHODS = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")  # of Optimizer, hidden from the compiler
DECORATE = getattr(optimizer, "_use_grad_for_differentiable", None)
DECORATED = DECORATE and DECORATE(lambda self: None).__code__  # of each step that breaks the compiler's graph


def without_compiler() -> None:
    """Have them run as they are, with the same numbers; once is enough for a process.

    Nothing is changed where torch._dynamo is loaded already, nor where this version of torch does it in another way.
    """
    if "torch._dynamo" in sys.modules:
        return
    for name in METHODS:
        run_as_it_is(getattr(Optimizer, name))
    counter = getattr(flop_counter, "_FlopCounterMode", None)
    run_as_it_is(getattr(counter, "__torch_dispatch__", None))
    for kind in Optimizer.__subclasses__():
        step = kind.__dict__.get("step")
        if DECORATED and getattr(step, "__code__", None) is DECORATED:
            kind.step = plain_step(step.__wrapped__)  # type: ignore[union-attr, method-assign]


def run_as_it_is(method: Any) -> None:
    """A method that torch._compile._disable_dynamo has decorated looks there first for what to call."""
    own = getattr(method, "__wrapped__", None)
    if own is not None:
        own.__dynamo_disable = own


def plain_step(step: Callable[..., Any]) -> Callable[..., Any]:
    """What torch's `_use_grad_for_differentiable` makes of a step, less its breaks of the compiler's graph."""

    @functools.wraps(step)
    def plain(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return step(self, *args, **kwargs)

    return plain
