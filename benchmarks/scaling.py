"""How time grows: with the number of images, the width of the net, the runs of a sweep; and falls with its workers.

images:  a training pass of fc over so many images; ideal: in proportion, from the largest on.
width:   a pass of a 784-W-10 net; ideal: in proportion to its FLOPs, from the widest on.
runs:    `dlhw -m` over so many seeds, a worker a core, from the shell and back; ideal: as long as one run up to as many
         runs as cores, then in proportion.
workers: a sweep of as many runs as the largest above, so many at a time; ideal: in proportion to 1 / workers up to the
         number of cores.

The runs train fc long enough to outlast their start. One thread a run; made-up images in Fashion-MNIST's form.

    python benchmarks/scaling.py [--rounds 1] [--images N …] [--widths N …] [--runs N …] [--workers N …] [--epochs 8]
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from experiments import FASHION, NETS, experiment, write_fashion
from measure import Chunk, Report, Rounds, arguments, median, parsed, speeds
from sweep import DLHW, commands
from training_loop import engine

from dlhw.machine import cpu_settings
from dlhw.process import cores

PASSES = 5  # over the images, and at each width, a round: they are quick
OF_WIDTH = 2000  # images that a net of each width trains on
OF_RUN = 10000
Ideal = Callable[[int], float]  # what time is in proportion to, of a point on the axis


def passes(overrides: Sequence[str]) -> Chunk:
    """One training pass, counted as 1."""
    work = engine(experiment(*overrides).trainer)

    def chunk() -> float:
        work()
        return 1

    return chunk


def flops(width: int) -> float:
    """Of a 784-W-10 net, but for a factor."""
    return 784 * width + 10 * width


def at_once(runs: int) -> float:
    """How many runs a core has to train, one after another."""
    return max(1.0, runs / cores())


def shared_out(workers: int) -> float:
    return 1 / min(workers, cores())


def add(report: Report, axis: str, measured: Rounds, ideal: Ideal, anchor: int) -> None:
    """Rows of seconds by point, beside the ideal ones that begin with what was measured at the anchor."""
    times = {int(point): 1 / median(values) for point, values in measured.items()}
    for point, time in times.items():
        best = times[anchor] * ideal(point) / ideal(anchor)
        report.add({"axis": axis, "at": point, "seconds": time, "ideal": best, "ideal / measured": best / time})
    report.rounds[axis] = measured


def sweep(data: str, epochs: int, runs: int, workers: int) -> Chunk:
    run = [*NETS["fc"], *FASHION, f"data_dir={data}", f"epochs={epochs}", "device=cpu", "threads=1"]
    line = [DLHW, "-m", *run, f"seed=range({runs})", f"hydra.launcher.n_jobs={workers}"]
    return commands(line, work=1)


def main() -> None:
    parser = arguments(__doc__, "scaling", rounds=1, devices=["cpu"])
    parser.add_argument("--images", nargs="+", type=int, default=[500, 1000, 2000, 4000, 8000, 16000, 32000])
    parser.add_argument("--widths", nargs="+", type=int, default=[32, 64, 128, 256, 512, 1024, 2048])
    parser.add_argument("--runs", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--workers", nargs="*", type=int, default=[1, 2], help="beside one a core")
    parser.add_argument("--epochs", type=int, default=8, help="of a sweep's runs, 10,000 images each")
    args = parsed(parser)
    report = Report("Scaling", args)
    with tempfile.TemporaryDirectory() as folder, cpu_settings(1):
        write_fashion(Path(folder), train=max(*args.images, OF_WIDTH))
        run = [*NETS["fc"], *FASHION, f"data_dir={folder}", "device=cpu", "threads=1"]
        by_images = {str(n): passes([*run, f"dataset.train_size={n}"]) for n in args.images}
        add(report, "images", speeds(by_images, PASSES * args.rounds), float, max(args.images))
        wide = {str(n): passes([*run, f"dataset.train_size={OF_WIDTH}", f"model.hidden=[{n}]"]) for n in args.widths}
        add(report, "width", speeds(wide, PASSES * args.rounds), flops, max(args.widths))
    with tempfile.TemporaryDirectory() as folder:
        write_fashion(Path(folder), train=OF_RUN)
        by_runs = {str(n): sweep(folder, args.epochs, n, cores()) for n in args.runs}
        measured = speeds(by_runs, args.rounds, warm_up=0)
        add(report, "runs", measured, at_once, min(args.runs))
        by_workers = {str(n): sweep(folder, args.epochs, max(args.runs), n) for n in args.workers}
        workers = speeds(by_workers, args.rounds, warm_up=0)
        workers[str(cores())] = measured[str(max(args.runs))]
        add(report, "workers", workers, shared_out, min(map(int, workers)))
    report.write()


if __name__ == "__main__":
    main()
