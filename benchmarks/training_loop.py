"""How fast the training loop is: the homework loop, dlhw's engine as `dlhw` runs it, and the bare limit.

homework: torchvision's data set, ToTensor, DataLoader(shuffle), forward, backward, step, item() each step.
engine:   Trainer.train_epoch, built from the same config that the command composes.
limit:    forward, backward, step on one constant batch, with the engine's memory layout and optimizer, unmeasured.

Machines are shared and noisy, so the three run in one process, in short chunks, in random order within each round, and
what is reported is the median over the rounds of the ratios within a round, with the quartiles. The images are made
here in Fashion-MNIST's files and sizes (their content does not matter to speed), so that nothing is downloaded.

    python benchmarks/training_loop.py [--rounds 21] [--threads 1] [--nets fc mlp lenet5] [--output FILE.md]
"""

import argparse
import hashlib
import itertools
import os
import platform
import random
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from dlhw.compose import composed
from dlhw.config import hydra_session
from dlhw.dataset import mnist
from dlhw.environment import device_name, git_commit
from dlhw.machine import cpu_settings
from dlhw.prepare import prepare

NETS = {
    "fc": ["experiment=fashion/fc"],
    "mlp": ["experiment=mnist/mlp", "dataset=fashion_mnist", "batch_size=100", "optimizer=adam", "optimizer.lr=0.001"],
    "lenet5": ["experiment=fashion/lenet5"],
}
TARGETS = {"fc": 5.0, "mlp": 6.0, "lenet5": 1.6}  # engine over homework, at 1 thread
TRAIN_SIZE = {"fc": 6000, "mlp": 12000, "lenet5": 3000}  # images of an engine's chunk: 0.1 to 0.3 s


def write_fashion(root: Path, train: int = 12000, test: int = 100) -> None:
    """Files in Fashion-MNIST's form with made-up images, and their hashes made known to the reader."""
    rng = np.random.default_rng(0)
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    hashes = []
    for name, n in zip(mnist.FILES, (train, train, test, test), strict=True):
        if "images" in name:
            coarse = rng.integers(0, 256, (n, 7, 7), dtype=np.uint8)
            content = struct.pack(">IIII", 2051, n, 28, 28) + coarse.repeat(4, 1).repeat(4, 2).tobytes()
        else:
            content = struct.pack(">II", 2049, n) + (np.arange(n) % 10).astype(np.uint8).tobytes()
        (folder / name).write_bytes(content)
        hashes.append(hashlib.md5(content).hexdigest())
    mnist.MD5["FashionMNIST"] = tuple(hashes)


def engine(overrides: list[str]) -> tuple[Callable[[], int], nn.Module, torch.optim.Optimizer]:
    """The engine as the command runs it; a chunk is one epoch. Also a twin of its model and optimizer for the limit."""
    with hydra_session():
        config = composed([*overrides, "device=cpu"])
        trainer = prepare(config).trainer
        twin = prepare(config).trainer

    def chunk() -> int:
        trainer.train_epochs(1)
        return trainer.samples

    return chunk, twin.model, twin.optimizer


def limit(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> Callable[[], int]:
    """Steps on one constant batch."""
    inputs, targets = torch.rand(100, 1, 28, 28), torch.arange(100) % 10
    inputs = inputs.to(memory_format=torch.channels_last)
    loss_fn = nn.CrossEntropyLoss()
    model.train()

    def chunk() -> int:
        for _ in range(steps):
            loss_fn(model(inputs), targets).backward()
            optimizer.step()
            optimizer.zero_grad()
        return steps * len(targets)

    return chunk


def homework(model: nn.Module, root: Path, steps: int) -> Callable[[], int]:
    """The loop of the reports: a DataLoader over torchvision's set, torch's default Adam, item() each step."""
    from torchvision import datasets, transforms

    data = datasets.FashionMNIST(str(root), train=True, transform=transforms.ToTensor())
    loader = torch.utils.data.DataLoader(data, batch_size=100, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    loss_fn = nn.CrossEntropyLoss()

    def endless() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            yield from loader

    batches = endless()

    def chunk() -> int:
        torch.set_flush_denormal(False)  # nobody's homework sets it
        total = 0.0
        for inputs, targets in itertools.islice(batches, steps):
            loss = loss_fn(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        torch.set_flush_denormal(True)
        return steps * 100

    return chunk


def measure(variants: dict[str, Callable[[], int]], rounds: int) -> dict[str, list[float]]:
    """Samples a second of each variant in each round, the order within a round being random."""
    order = random.Random(0)
    speeds: dict[str, list[float]] = {name: [] for name in variants}
    for index in range(rounds + 1):
        for name in order.sample(list(variants), len(variants)):
            start = time.perf_counter()
            samples = variants[name]()
            if index:  # the first round warms up
                speeds[name].append(samples / (time.perf_counter() - start))
    return speeds


def ratio(above: list[float], below: list[float]) -> str:
    quartiles = statistics.quantiles([a / b for a, b in zip(above, below, strict=True)], n=4)
    return f"{quartiles[1]:.2f} [{quartiles[0]:.2f}..{quartiles[2]:.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS))
    parser.add_argument("--output", type=Path, help="write the table here too")
    args = parser.parse_args()
    lines = [
        "| net | homework, samples/s | engine / homework | wanted | engine / limit | wanted |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        write_fashion(Path(folder))
        for name in args.nets:
            overrides, size = NETS[name], TRAIN_SIZE[name]
            run = [*overrides, f"data_dir={folder}", f"dataset.train_size={size}", f"threads={args.threads}"]
            with cpu_settings(args.threads):
                chunk, model, optimizer = engine(run)
                plain = engine(run)[1].to(memory_format=torch.contiguous_format)
                variants = {
                    "homework": homework(plain, Path(folder), max(5, size // 600)),
                    "engine": chunk,
                    "limit": limit(model, optimizer, size // 100),
                }
                speeds = measure(variants, args.rounds)
            over_homework, over_limit = (ratio(speeds["engine"], speeds[other]) for other in ("homework", "limit"))
            speed = f"{statistics.median(speeds['homework']):,.0f}"
            lines.append(f"| {name} | {speed} | {over_homework} | {TARGETS[name]} | {over_limit} | 0.9 |")
            print(lines[-1], flush=True)
    where = (
        f"\n{args.threads} thread(s) of {device_name(torch.device('cpu'))}, {os.cpu_count()} cores; Python "
        f"{platform.python_version()}, torch {torch.__version__}; dlhw {git_commit()}; batch 100, Adam, {args.rounds} "
        f"rounds: median [quartiles] of the ratios within a round.\n"
    )
    table = "\n".join([*lines, where])
    print("\n" + table)
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text("# The training loop\n\n    make bench\n\n" + table)


if __name__ == "__main__":
    main()
