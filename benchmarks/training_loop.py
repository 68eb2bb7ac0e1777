"""How fast the training loop is: the homework loop, dlhw's engine as `dlhw` runs it, and the bare limit.

homework:       torchvision's data set, ToTensor, DataLoader(shuffle), forward, backward, step, item() each step.
engine:         Trainer.train_epochs, built from the config that the command composes.
engine compile: the same with compile=true.
engine eager:   on CUDA, the same with cuda_graph=false: each kernel launched by itself.
limit:          on a CPU forward, backward, step by torch's own calls on one constant batch, with the engine's memory
                layout and optimizer, unmeasured; on CUDA the replay of the engine's captured step, to which nothing is
                copied.

All at the same number of CPU threads, batch 100, Adam; made-up images in Fashion-MNIST's form. What `dlhw` sets for the
whole process, that glibc keeps freed memory, the homework loop profits from here too.

    python benchmarks/training_loop.py [--rounds 15] [--threads 1] [--nets fc mlp lenet5] [--device cuda]
"""

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from experiments import BATCH, FASHION, NETS, endless, experiment, loader, usual, write_fashion
from measure import Chunk, Report, Rounds, Row, arguments, median, parsed, ratio, speeds
from torch import nn

from dlhw.machine import cpu_settings
from dlhw.trainer import Trainer

WANTED = {"fc": 5.5, "mlp": 7.0, "lenet5": 1.8}  # engine over homework, on a CPU at 1 thread
OF_LIMIT = 0.95
TRAIN_SIZE = {"fc": 6000, "mlp": 12000, "lenet5": 3000}  # images of an engine's chunk: 0.1 to 0.3 s


def engine(trainer: Trainer) -> Chunk:
    """A chunk is one epoch."""

    def chunk() -> int:
        trainer.train_epochs(1)
        return trainer.samples

    return chunk


def homework(model: nn.Module, root: Path, steps: int, device: torch.device) -> Chunk:
    """The loop of the reports, with torch's default Adam."""
    batches = endless(loader(root, train=True))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    loss_fn = nn.CrossEntropyLoss()

    def chunk() -> int:
        torch.set_flush_denormal(False)  # nobody's homework sets it
        total = 0.0
        for inputs, targets in itertools.islice(batches, steps):
            inputs, targets = inputs.to(device), targets.to(device)
            loss = loss_fn(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        torch.set_flush_denormal(True)
        return steps * BATCH

    return chunk


def limit(trainer: Trainer, steps: int) -> Chunk:
    """Steps on one constant batch."""
    model, optimizer, graph = trainer.model, trainer.optimizer, getattr(trainer.graphed_step, "graph", None)
    inputs, targets = next(iter(trainer.train.batches(BATCH)))
    loss_fn = nn.CrossEntropyLoss()
    model.train()

    def step() -> None:
        loss_fn(model(inputs), targets).backward()
        optimizer.step()
        optimizer.zero_grad()

    return repeated(step if graph is None else graph.replay, steps, BATCH, trainer.device)


def repeated(step: Callable[[], object], steps: int, samples: int, device: torch.device) -> Chunk:
    """samples: of one step."""

    def chunk() -> int:
        for _ in range(steps):
            step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return steps * samples

    return chunk


def variants(overrides: list[str], root: Path, size: int, compiled: bool) -> dict[str, Chunk]:
    """Each with a model of its own, all with the same weights. The engine's are left out where capture fails."""
    trainer = experiment(*overrides).trainer
    twin = usual(experiment(*overrides, "cuda_graph=false").trainer.model)
    found = {
        "homework": homework(twin, root, max(5, size // 600), trainer.device),
        "engine": engine(trainer),
        "limit": limit(experiment(*overrides).trainer, max(1, size // BATCH)),
    }
    if trainer.graphed_step is not None:
        found["engine eager"] = engine(experiment(*overrides, "cuda_graph=false").trainer)
    if compiled:
        with_compiler = experiment(*overrides, "compile=true").trainer
        if with_compiler.compiled_forward is not None:
            found["engine compile"] = engine(with_compiler)
    return found


def row(name: str, measured: Rounds, wanted: bool) -> Row:
    """What the engine is over the others; wanted: whether the figures that dlhw set itself are of this case."""
    of_engine = {other: ratio(measured["engine"], measured[other]) for other in measured}
    compiled = ratio(measured["engine compile"], measured["engine"]) if "engine compile" in measured else None
    found: Row = {
        "net": name,
        "homework, samples/s": median(measured["homework"]),
        "engine, samples/s": median(measured["engine"]),
        "engine / homework": of_engine["homework"],
        "wanted": WANTED[name] if wanted else None,
        "engine / limit": of_engine["limit"],
        "wanted of the limit": OF_LIMIT,
        "engine compile / engine": compiled,
    }
    return found | ({"engine / engine eager": of_engine["engine eager"]} if "engine eager" in measured else {})


def main() -> None:
    parser = arguments(__doc__, "training_loop", rounds=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS))
    parser.add_argument("--no-compile", action="store_true", help="leave out the engine with compile=true")
    args = parsed(parser)
    report = Report("The training loop", args)
    with tempfile.TemporaryDirectory() as folder, cpu_settings(args.threads):
        write_fashion(Path(folder), train=max(TRAIN_SIZE.values()))
        shared = [*FASHION, f"data_dir={folder}", f"threads={args.threads}", f"device={args.device}"]
        for name in args.nets:
            size = TRAIN_SIZE[name] if args.device == "cpu" else max(TRAIN_SIZE.values())
            overrides = [*NETS[name], *shared, f"dataset.train_size={size}"]
            measured = speeds(variants(overrides, Path(folder), size, not args.no_compile), args.rounds)
            report.add(row(name, measured, args.device == "cpu" and args.threads == 1), measured)
    report.write()


if __name__ == "__main__":
    main()
