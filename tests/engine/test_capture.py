"""Captured steps: torch.compile's and CUDA graphs' have to train what eager steps train, or not be used at all."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dlhw.capture import capture, cuda_graph
from dlhw.capture.compiled import told
from dlhw.capture.cuda_graph import GraphedStep, check, unfit
from dlhw.capture.trial import full_batch, undone
from dlhw.config.compose import composed
from dlhw.config.shipped import hydra_session
from dlhw.errors import UserError
from dlhw.machine import cpu_settings
from dlhw.prepare import prepare
from dlhw.trainer import Trainer

NET = ("model=fc", "model.hidden=[8]", "model.batchnorm=true", "model.dropout=0.3", "dataset.train_size=220")
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def trainer_of(*overrides: str, device: str = "cpu") -> Trainer:
    with hydra_session():
        return prepare(composed(["plots=none", "threads=1", f"device={device}", *NET, *overrides])).trainer


def losses(trainer: Trainer, epochs: int = 2) -> list[float]:
    torch.manual_seed(5)  # from where dropout draws
    with cpu_settings(1):
        return [loss for _ in range(epochs) for loss in (trainer.train_epochs(1), trainer.steps.loss)[1]]


def test_a_compiled_forward_trains_as_the_eager_one_and_dropout_draws_the_same(said: list[str]) -> None:
    compiled, eager = trainer_of(), trainer_of()
    with cpu_settings(1):
        capture(compiled, compile=True, cuda_graph=False)
    assert compiled.compiled_forward is not None
    assert said[-1].startswith("compile=true: compiled in ")
    assert losses(compiled) == pytest.approx(losses(eager), rel=1e-5)


def refuse(*args: object, **kwargs: object) -> object:
    def fail(*args: object) -> object:
        raise RuntimeError("no compiler here\nand a page of code behind it")

    return fail


def test_without_a_compiler_a_line_says_so_and_the_run_is_the_eager_one(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, eager = trainer_of(), trainer_of()
    monkeypatch.setattr(torch, "compile", refuse)
    capture(trainer, compile=True, cuda_graph=False)
    assert said == ["compile=true: RuntimeError: no compiler here; training goes on without it"]
    assert losses(trainer) == losses(eager)


def test_a_split_without_a_full_batch_is_not_compiled_for(said: list[str]) -> None:
    trainer = trainer_of("batch_size=500")
    capture(trainer, compile=True, cuda_graph=False)
    assert trainer.compiled_forward is None
    assert "no full batch" in said[-1]


@pytest.mark.parametrize(
    ("cost", "before", "after", "end"),
    [(6.0, 0.003, 0.002, "pays off after 6,000 steps"), (6.0, 0.002, 0.002, "no gain here")],
)
def test_the_break_even_is_told(cost: float, before: float, after: float, end: str) -> None:
    assert told(cost, before, after).endswith(end)


def test_a_broken_cache_costs_a_line_at_most(tmp_path: Path) -> None:
    quick = ("plots=none", "threads=1", "device=cpu", "epochs=1", "dataset.train_size=220")
    smallest = ("model=fc", "model.hidden=[]")  # each layer is compiled for seconds
    command = [sys.executable, "-m", "dlhw.cli", "compile=true", *quick, *smallest]
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}

    def run() -> float:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        line = next(line for line in done.stdout.splitlines() if line.startswith("epoch 1/1"))
        return float(line.split("train/loss ")[1].partition(",")[0])

    first = run()
    broken = [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.stat().st_size > 1]
    assert broken
    for path in broken:
        os.truncate(path, path.stat().st_size // 2)
    assert run() == pytest.approx(first, abs=1e-3)  # four digits are told


def everything(trainer: Trainer) -> list[torch.Tensor]:
    optimizer = [v for state in trainer.optimizer.state.values() for v in state.values() if isinstance(v, torch.Tensor)]
    tensors = [*trainer.model.state_dict().values(), *optimizer, torch.get_rng_state(), trainer.shuffle.get_state()]
    return [tensor.clone() for tensor in tensors]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("trained", [0, 1])
def test_what_is_undone_leaves_no_trace(optimizer: str, trained: int) -> None:
    momentum = ["optimizer.momentum=0.9"] if optimizer in ("sgd", "rmsprop") else []
    trainer, other = (trainer_of(f"optimizer={optimizer}", *momentum) for _ in range(2))
    if trained:
        assert losses(trainer, trained) == losses(other, trained)
    batch = full_batch(trainer)
    assert batch is not None
    places = [p.data_ptr() for p in trainer.model.parameters()]
    before = everything(trainer)
    with undone(trainer):
        for _ in range(3):
            trainer.forward(*batch)[1].backward()
            trainer.update()
        assert any(not torch.equal(a, b) for a, b in zip(before, everything(trainer), strict=False))
    assert [p.data_ptr() for p in trainer.model.parameters()] == places
    if trained:
        assert all(torch.equal(a, b) for a, b in zip(before, everything(trainer), strict=True))
    assert losses(trainer) == losses(other)


class Recorded:
    """In place of a CUDA graph on a CPU: a replay takes the captured step again, into the captured memory."""

    step: GraphedStep

    def replay(self) -> None:
        graph = self.step.graph
        with self.step.on_the_device():
            for output, now in zip(graph.outputs, self.step.step(*graph.inputs), strict=True):
                output.copy_(now)


@pytest.fixture
def graphs_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        def wait_stream(self, other: object) -> None: ...

    for name in ("Stream", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, Stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Recorded)
    for name in ("stream", "graph", "device"):
        monkeypatch.setattr(torch.cuda, name, lambda *args, **options: contextlib.nullcontext())


def graphed(trainer: Trainer) -> GraphedStep:
    batch = full_batch(trainer)
    assert batch is not None
    step = GraphedStep(trainer, *batch)
    step.graph.graph.step = step  # type: ignore[attr-defined]
    return step


STEPS = [
    ("optimizer=adam",),
    ("optimizer=sgd", "optimizer.momentum=0.9"),
    ("optimizer=rmsprop",),
    ("optimizer=adamw", "clip_grad_norm=0.1"),
    ("scheduler=step", "scheduler.step_size=1", "scheduler.gamma=0.5", "scheduler.interval=step"),
]


@pytest.mark.usefixtures("graphs_on_a_cpu")
@pytest.mark.parametrize("overrides", STEPS, ids=" ".join)
def test_replays_and_eager_last_batches_train_what_eager_steps_train(overrides: tuple[str, ...]) -> None:
    """The logic around a graph: batches, learning rates, short last batches, and a start that leaves no trace."""
    trainer, eager = trainer_of(*overrides), trainer_of(*overrides)
    trainer.graphed_step = step = graphed(trainer)
    calls: list[int] = []
    trainer.graphed_step = lambda inputs, targets: (calls.append(len(targets)), step(inputs, targets))[1]
    assert losses(trainer) == pytest.approx(losses(eager), rel=1e-6)
    assert calls == [100] * 4  # of 220 images twice: the batch of 20 goes the eager way
    assert isinstance(trainer.optimizer.param_groups[0]["lr"], float)
    assert trainer.optimizer.state_dict()["param_groups"] == eager.optimizer.state_dict()["param_groups"]


@pytest.mark.usefixtures("graphs_on_a_cpu")
def test_a_graph_that_trains_something_else_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trainer_of("model.dropout=0")
    step = graphed(trainer)
    check(step)
    monkeypatch.setattr(Recorded, "replay", lambda self: None)
    with pytest.raises(RuntimeError, match="are not the eager"):
        check(step)


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (("accumulate_steps=2",), "accumulate_steps joins batches"),
        (("scheduler=onecycle",), "the schedule changes the momentum"),
        (("optimizer=sgd", "optimizer.momentum=0.9", "+optimizer.dampening=0.5"), "dampening"),
        ((), ""),
        (("scheduler=cosine", "clip_grad_norm=1"), ""),
    ],
)
def test_what_no_graph_fits(overrides: tuple[str, ...], reason: str) -> None:
    assert unfit(trainer_of(*overrides)).startswith(reason)
    assert bool(reason) == bool(unfit(trainer_of(*overrides)))


def test_a_cpu_has_no_graph(said: list[str]) -> None:
    trainer = trainer_of()
    cuda_graph.capture_step(trainer)
    assert trainer.graphed_step is None
    assert not said
    with pytest.raises(UserError, match="cuda_graph=true: the device is cpu"):
        trainer_of("cuda_graph=true")


@CUDA
@pytest.mark.parametrize("model", [("model=fc", "model.dropout=0"), ("model=lenet5", "model.dropout=0")], ids=" ".join)
@pytest.mark.parametrize("overrides", STEPS, ids=" ".join)
def test_a_cuda_graph_trains_what_eager_steps_train(model: tuple[str, ...], overrides: tuple[str, ...]) -> None:
    asked = ("dataset.image_size=28", *model, *overrides)
    trainer, eager = trainer_of(*asked, device="cuda"), trainer_of(*asked, device="cuda")
    capture(trainer, compile=False, cuda_graph=True)
    assert trainer.graphed_step is not None
    assert losses(trainer, 4) == pytest.approx(losses(eager, 4), rel=1e-3)


@pytest.fixture(autouse=True)
def compiled_code_is_dropped() -> Iterator[None]:
    yield
    if "torch._dynamo" in sys.modules:
        torch._dynamo.reset()
