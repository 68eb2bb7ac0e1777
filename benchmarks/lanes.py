"""Runs as lanes of one program against the same runs one after another, a pass over the training split of each.

alone: one after another, at one thread and at all threads (on CUDA with and without a graph of its own for each step).
lanes: `hydra/launcher=vectorized`'s loop, at the same threads; on CUDA as one graph a step.

What is compared is samples a second of all runs together. On a CPU a sweep has a worker for each core instead, which
this leaves out: benchmarks/sweep.py measures that.

    python benchmarks/lanes.py [--rounds 11] [--lanes 8] [--nets fc lenet5] [--device cuda]
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from experiments import FASHION, NETS, experiment, write_fashion
from measure import Chunk, Report, Rounds, Row, arguments, median, parsed, ratio, speeds

from dlhw.lanes.dropout import Generators
from dlhw.lanes.loop import Loop
from dlhw.machine import cpu_settings
from dlhw.process import cores
from dlhw.trainer import Trainer

TRAIN_SIZE = {"fc": 1500, "lenet5": 500}  # images of a run's pass on a CPU: with 8 lanes, chunks of 0.3 s
ON_CUDA = 6000


def one_after_another(trainers: list[Trainer]) -> Chunk:
    def chunk() -> int:
        for trainer in trainers:
            trainer.train_epochs(1)
        return sum(trainer.samples for trainer in trainers)

    return chunk


def as_lanes(trainers: list[Trainer]) -> Chunk:
    loop = Loop(trainers, [Generators(trainer.device).masks for trainer in trainers])
    return lambda: sum(loop.train_epochs(1).sizes) * len(trainers)


def at(threads: int, chunk: Chunk) -> Chunk:
    def threaded() -> float:
        with cpu_settings(threads):
            return chunk()

    return threaded


def variants(built: Callable[..., list[Trainer]], device: str, most: int) -> dict[str, Chunk]:
    """Each with trainers of its own."""
    if device == "cuda":
        eager = one_after_another(built("cuda_graph=false"))
        return {
            "alone": one_after_another(built()),
            "alone, eager": eager,
            "lanes": as_lanes(built("cuda_graph=false")),
        }
    alone, lanes = one_after_another(built()), as_lanes(built())
    many = {f"alone, {most} threads": at(most, alone), f"lanes, {most} threads": at(most, lanes)}
    return {"alone": at(1, alone), "lanes": at(1, lanes), **(many if most > 1 else {})}


def row(name: str, measured: Rounds) -> Row:
    over = {
        f"{other} / alone": ratio(speed, measured["alone"]) for other, speed in measured.items() if other != "alone"
    }
    return {"net": name, "alone, samples/s": median(measured["alone"]), **over}


def main() -> None:
    parser = arguments(__doc__, "lanes", rounds=11)
    parser.add_argument("--lanes", type=int, help="runs; 8, on CUDA 32")
    parser.add_argument("--threads", type=int, default=cores(), help="beside one")
    parser.add_argument("--nets", nargs="+", choices=TRAIN_SIZE, default=list(TRAIN_SIZE))
    args = parsed(parser)
    args.lanes = args.lanes or (32 if args.device == "cuda" else 8)
    report = Report(f"{args.lanes} runs as lanes", args)
    with tempfile.TemporaryDirectory() as folder, cpu_settings(1):
        write_fashion(Path(folder))
        for net in args.nets:
            size = ON_CUDA if args.device == "cuda" else TRAIN_SIZE[net]
            shared = [*NETS[net], *FASHION, f"data_dir={folder}", f"device={args.device}", f"dataset.train_size={size}"]

            def built(*overrides: str, shared: list[str] = shared) -> list[Trainer]:
                return [experiment(*shared, "threads=1", *overrides, f"seed={s}").trainer for s in range(args.lanes)]

            measured = speeds(variants(built, args.device, args.threads), args.rounds)
            report.add(row(net, measured), measured)
            if args.device == "cuda":
                torch.cuda.empty_cache()
    report.write()


if __name__ == "__main__":
    main()
