"""How fast a split is evaluated: the homework's loop against Trainer.evaluate, and the bare limit.

homework: a DataLoader over torchvision's set, batches of 100, no_grad, and item() of loss and accuracy each batch.
engine:   Trainer.evaluate over the test split, as a run validates and tests: loss and accuracy, large batches.
limit:    the forward pass alone, over one batch of the engine's size and memory layout.

All at the same number of CPU threads; made-up images in Fashion-MNIST's form.

    python benchmarks/evaluation.py [--rounds 11] [--threads 1] [--nets fc mlp lenet5] [--images 10000] [--device cuda]
"""

import itertools
import tempfile
from pathlib import Path

import torch
from experiments import BATCH, FASHION, NETS, endless, experiment, loader, usual, write_fashion
from measure import Chunk, Report, Rounds, Row, arguments, median, parsed, ratio, speeds
from torch import nn
from training_loop import repeated

from dlhw.machine import cpu_settings
from dlhw.trainer import Split, Trainer

HOMEWORK_BATCHES = 20  # of a chunk


def homework(model: nn.Module, root: Path, device: torch.device) -> Chunk:
    batches = endless(loader(root, train=False))
    loss_fn = nn.CrossEntropyLoss()

    def chunk() -> int:
        model.eval()
        total = right = 0.0
        with torch.no_grad():
            for inputs, targets in itertools.islice(batches, HOMEWORK_BATCHES):
                inputs, targets = inputs.to(device), targets.to(device)
                outputs = model(inputs)
                total += loss_fn(outputs, targets).item()
                right += (outputs.argmax(1) == targets).sum().item()
        return HOMEWORK_BATCHES * BATCH

    return chunk


def engine(trainer: Trainer, split: Split) -> Chunk:
    def chunk() -> int:
        trainer.evaluate(split, "test")
        return len(split)

    return chunk


def limit(trainer: Trainer, split: Split) -> Chunk:
    """As many images as the split has, or some more."""
    inputs = next(iter(split.batches(min(trainer.eval_batch_size, len(split)))))[0]
    forward = torch.no_grad()(lambda: trainer.model.eval()(inputs))
    return repeated(forward, -(-len(split) // len(inputs)), len(inputs), trainer.device)


def variants(overrides: list[str], root: Path) -> dict[str, Chunk]:
    built, twin = (experiment(*overrides) for _ in range(2))
    trainer = built.trainer
    plain = usual(twin.trainer.model)
    with built.opened("test") as test:
        return {
            "homework": homework(plain, root, trainer.device),
            "engine": engine(trainer, test),
            "limit": limit(trainer, test),
        }


def row(name: str, measured: Rounds) -> Row:
    return {
        "net": name,
        "homework, samples/s": median(measured["homework"]),
        "engine, samples/s": median(measured["engine"]),
        "engine / homework": ratio(measured["engine"], measured["homework"]),
        "engine / limit": ratio(measured["engine"], measured["limit"]),
    }


def main() -> None:
    parser = arguments(__doc__, "evaluation", rounds=11)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS))
    parser.add_argument("--images", type=int, default=10000)
    args = parsed(parser)
    report = Report("Evaluation", args)
    with tempfile.TemporaryDirectory() as folder, cpu_settings(args.threads):
        write_fashion(Path(folder), train=1000, test=args.images)
        shared = [*FASHION, f"data_dir={folder}", f"threads={args.threads}", f"device={args.device}"]
        for name in args.nets:
            measured = speeds(variants([*NETS[name], *shared, "cuda_graph=false"], Path(folder)), args.rounds)
            report.add(row(name, measured), measured)
    report.write()


if __name__ == "__main__":
    main()
