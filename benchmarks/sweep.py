"""A sweep of eight learning rates: `dlhw -m` against the homework script run eight times, one after another.

Both train LeNet-5 on Fashion-MNIST for two epochs a learning rate; wall time of the whole, from the shell and back. The
two take turns, and what is reported is the ratio of each round. `dlhw -m` also writes tables, plots and a page.

    python benchmarks/sweep.py [--rounds 2] [--epochs 2] [--data data] [--output FILE.md]
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from dlhw.environment import device_name, git_commit
from dlhw.machine import cores

RATES = (0.0001, 0.0002, 0.0004, 0.0008, 0.0016, 0.0032, 0.0064, 0.0128)
WANTED = 4.0  # on 4 cores; 2 on 2


def seconds(*lines: list[str], standing: str) -> float:
    """Wall time of commands, one after another."""
    start = time.perf_counter()
    for line in lines:
        subprocess.run(line, cwd=standing, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--data", type=Path, default=Path("data"), help="holds FashionMNIST/raw")
    parser.add_argument("--output", type=Path, help="write the table here too")
    args = parser.parse_args()
    data, script = str(args.data.resolve()), str(Path(__file__).with_name("homework.py"))
    bin_ = Path(sys.executable).parent
    rates = ",".join(map(str, RATES))
    shared = [f"epochs={args.epochs}", f"data_dir={data}"]
    sweep = [str(bin_ / "dlhw"), "-m", "experiment=fashion/lenet5", *shared, f"optimizer.lr={rates}"]
    homework = [[sys.executable, script, "--lr", str(lr), "--epochs", str(args.epochs), "--data", data] for lr in RATES]
    rounds, load = [], os.getloadavg()[0]
    for index in range(args.rounds):
        with tempfile.TemporaryDirectory() as here:
            variants = {"sweep": [sweep], "homework": homework}
            order = list(variants) if index % 2 else list(variants)[::-1]
            took = {name: seconds(*variants[name], standing=here) for name in order}
            rounds.append((took["homework"], took["sweep"]))
            print(f"homework {took['homework']:.0f} s, sweep {took['sweep']:.0f} s", flush=True)
    ratios = [homework / sweep for homework, sweep in rounds]
    table = "\n".join(
        [
            "| eight homework scripts, s | `dlhw -m`, s | ratio | wanted |",
            "|---|---|---|---|",
            *(f"| {h:.0f} | {s:.0f} | {h / s:.2f} | {WANTED} on 4 cores |" for h, s in rounds),
            "",
            f"{cores()} cores of {device_name(torch.device('cpu'))} (load before: {load:.1f}); Python "
            f"{platform.python_version()}, torch {torch.__version__}; dlhw {git_commit()}; {args.epochs} epochs a run; "
            f"median ratio {statistics.median(ratios):.2f}.\n",
        ]
    )
    print("\n" + table)
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text("# A sweep\n\n    python benchmarks/sweep.py\n\n" + table)


if __name__ == "__main__":
    main()
