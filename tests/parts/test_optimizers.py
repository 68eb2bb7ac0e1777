"""The optimizers of the YAML files against torch's own classes, and against their formulas, in float64."""

import pytest
import torch
from composing import part
from torch import Tensor, nn

STEPS = 20

CASES = [
    ("sgd", torch.optim.SGD, {"lr": 0.05}),
    ("sgd", torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}),
    ("sgd", torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    ("adam", torch.optim.Adam, {"lr": 0.01}),
    ("adam", torch.optim.Adam, {"lr": 0.01, "betas": [0.8, 0.99], "eps": 1e-6, "weight_decay": 0.1}),
    ("adamw", torch.optim.AdamW, {"lr": 0.01}),
    ("adamw", torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.2}),
    ("rmsprop", torch.optim.RMSprop, {"lr": 0.01}),
    ("rmsprop", torch.optim.RMSprop, {"lr": 0.01, "alpha": 0.9, "momentum": 0.5, "centered": True}),
]


def yaml_of(value: object) -> str:
    return str(value).lower().replace(" ", "")


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()


def walk(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """All weights after each of a few steps on fixed data."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(8, 6, generator=generator, dtype=torch.float64)
    targets = torch.arange(8) % 3
    path = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
        path.append(torch.cat([p.detach().flatten().clone() for p in model.parameters()]))
    return path


@pytest.mark.parametrize(("name", "cls", "options"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_yaml_optimizer_steps_as_torchs_plain_loop(name, cls, options):
    ours, theirs = net(), net()
    overrides = [f"optimizer.{key}={yaml_of(value)}" for key, value in options.items()]
    optimizer = part("optimizer", f"optimizer={name}", *overrides, params=list(ours.parameters()))
    assert type(optimizer) is cls
    oracle = cls(theirs.parameters(), **options, foreach=False, fused=False) if name != "rmsprop" else cls(
        theirs.parameters(), **options, foreach=False
    )  # fmt: skip
    torch.testing.assert_close(walk(ours, optimizer), walk(theirs, oracle), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_the_yamls_hyperparameters_are_torchs_defaults(name):
    """lr of SGD included, which torch once left out. `fused` and `foreach` are ways to compute, not figures."""
    model = net()
    ours = part("optimizer", f"optimizer={name}", params=list(model.parameters())).defaults
    theirs = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW,
              "rmsprop": torch.optim.RMSprop}[name](model.parameters(), lr=ours["lr"]).defaults  # fmt: skip
    figures = [key for key in theirs if key not in ("fused", "foreach")]
    assert {k: tuple(v) if isinstance(v, list) else v for k, v in ours.items() if k in figures} == {
        k: theirs[k] for k in figures
    }
    assert ours["lr"] == {"sgd": 0.01, "adam": 0.001, "adamw": 0.001, "rmsprop": 0.01}[name]


def formula(name: str, weight: Tensor, gradients: list[Tensor], lr: float, decay: float) -> Tensor:
    """The textbook's update, step by step."""
    m = v = torch.zeros_like(weight)
    for t, gradient in enumerate(gradients, start=1):
        if name == "adamw":
            weight = weight - lr * decay * weight
        else:
            gradient = gradient + decay * weight
        if name == "sgd":
            m = gradient if t == 1 else 0.9 * m + gradient
            weight = weight - lr * m
        elif name == "rmsprop":
            v = 0.99 * v + 0.01 * gradient**2
            weight = weight - lr * gradient / (v.sqrt() + 1e-8)
        else:
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            weight = weight - lr * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
    return weight


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_an_optimizer_follows_its_formula(name):
    generator = torch.Generator().manual_seed(2)
    start = torch.randn(5, generator=generator, dtype=torch.float64)
    gradients = [torch.randn(5, generator=generator, dtype=torch.float64) for _ in range(10)]
    weight = nn.Parameter(start.clone())
    momentum = ["optimizer.momentum=0.9"] if name == "sgd" else []
    overrides = [f"optimizer={name}", "optimizer.lr=0.02", "optimizer.weight_decay=0.1", *momentum]
    optimizer = part("optimizer", *overrides, params=[weight])
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
    torch.testing.assert_close(weight.detach(), formula(name, start, gradients, 0.02, 0.1), rtol=1e-11, atol=1e-11)
