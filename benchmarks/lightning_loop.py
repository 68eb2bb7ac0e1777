"""What Lightning's loop costs: the same net through `lightning.Trainer`, and through dlhw's engine.

lightning:            its Trainer with progress bar, logging, checkpoints and summary off, over the homework's loader
                      (torchvision's data set, ToTensor, DataLoader), torch's default Adam, without item().
lightning, in memory: the same over batches that lie ready on the device: its own loop, and the steps.
engine:               Trainer.train_epochs of dlhw.

A chunk of Lightning's is one `fit` of an epoch, whose setting up is in it: some 10 ms of about half a second.
Lightning is no part of the project; `make bench-lightning` puts it into a virtual environment beside it, with the same
torch.

    .venv-lightning/bin/python benchmarks/lightning_loop.py [--rounds 11] [--nets fc lenet5] [--device cuda]
"""

import itertools
import logging
import tempfile
import warnings
from collections.abc import Iterable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from experiments import BATCH, FASHION, NETS, experiment, loader, usual, write_fashion
from measure import Chunk, Report, Rounds, Row, arguments, leave_out, median, parsed, ratio, speeds
from torch import Tensor, nn
from training_loop import engine

from dlhw.machine import cpu_settings

IMAGES = {"fc": 6000, "lenet5": 3000}  # of a chunk
Batches = Iterable[tuple[Tensor, Tensor]]


class Ready(list[tuple[Tensor, Tensor]]):
    """Batches in memory; a plain list would be several loaders to Lightning."""


def lightning_chunk(model: nn.Module, batches: Batches, steps: int, device: str) -> Chunk:
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.loss_fn = model, nn.CrossEntropyLoss()

        def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
            loss: Tensor = self.loss_fn(self.model(batch[0]), batch[1])
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=0.001)

    module = Module()
    off: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    off |= {"enable_model_summary": False, "accelerator": {"cuda": "gpu"}.get(device, device), "devices": 1}

    def chunk() -> int:
        lightning.Trainer(max_epochs=1, limit_train_batches=steps, **off).fit(module, batches)
        return steps * BATCH

    return chunk


def silence() -> None:
    """Lightning's advice on loaders, and its lines at each fit; its import sets the level that is changed here."""
    import lightning.pytorch  # noqa: F401

    warnings.simplefilter("ignore")
    for name in ("lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)


def measure(name: str, shared: list[str], root: Path, device: str, rounds: int) -> Rounds:
    steps = IMAGES[name] // BATCH
    run = [*NETS[name], *shared, f"dataset.train_size={IMAGES[name]}"]
    ours, theirs, in_memory = (experiment(*run).trainer for _ in range(3))
    plain = usual(theirs.model)
    ready = Ready(itertools.islice(in_memory.train.batches(BATCH), steps))
    variants = {
        "lightning": lightning_chunk(plain, loader(root, train=True), max(5, steps // 5), device),
        "lightning, in memory": lightning_chunk(in_memory.model, ready, steps, device),
        "engine": engine(ours),
    }
    return speeds(variants, rounds)


def row(name: str, measured: Rounds) -> Row:
    return {
        "net": name,
        "lightning, samples/s": median(measured["lightning"]),
        "engine, samples/s": median(measured["engine"]),
        "engine / lightning": ratio(measured["engine"], measured["lightning"]),
        "engine / lightning, in memory": ratio(measured["engine"], measured["lightning, in memory"]),
    }


def main() -> None:
    parser = arguments(__doc__, "lightning_loop", rounds=11)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--nets", nargs="+", choices=IMAGES, default=list(IMAGES))
    args = parsed(parser)
    if find_spec("lightning") is None:
        leave_out("lightning_loop", "Lightning is not installed here: make bench-lightning")
    silence()
    report = Report("Lightning's loop", args)
    with tempfile.TemporaryDirectory() as folder, cpu_settings(args.threads):
        write_fashion(Path(folder), train=max(IMAGES.values()))
        shared = [*FASHION, f"data_dir={folder}", f"threads={args.threads}", f"device={args.device}"]
        for name in args.nets:
            measured = measure(name, shared, Path(folder), args.device, args.rounds)
            report.add(row(name, measured), measured)
    report.note(f"Lightning {version('lightning')}.")
    report.write()


if __name__ == "__main__":
    main()
