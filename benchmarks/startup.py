"""How long the commands take to begin, over `python -c "import torch"`, below which no training can come.

help, config, error:  `dlhw --help`, `dlhw --cfg job`, `dlhw epohcs=2`: none of them imports torch.
first step:           `dlhw`, the default run, from the start of the process until its first training step is done.

Machines are shared and noisy, so each round runs all commands once, in random order, and what is reported is the median
over the rounds of the ratios within a round, with the quartiles. Files are in the page cache: one round warms up.

    python benchmarks/startup.py [--rounds 15] [--output benchmarks/results/startup.md]
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from dlhw.folder.environment import device_name
from dlhw.folder.git import git_commit

# The command itself, but its first step ends the process. torch is imported before Hydra here; the sum is the same.
FIRST_STEP = """
import os
from dlhw.trainer import Trainer
step = Trainer.train_step
def only(*arguments):
    step(*arguments).item()  # waits for a GPU
    os._exit(0)
Trainer.train_step = only
from dlhw.cli import main
main()
os._exit(1)
"""
DLHW = str(Path(sys.executable).with_name("dlhw"))
TORCH = '`python -c "import torch"`'
COMMANDS: dict[str, tuple[list[str], int]] = {  # and the exit code that each ends with
    TORCH: ([sys.executable, "-c", "import torch"], 0),
    "the same, without Python's clearing up": ([sys.executable, "-c", "import torch, os; os._exit(0)"], 0),
    "`dlhw --help`": ([DLHW, "--help"], 0),
    "`dlhw --cfg job`": ([DLHW, "--cfg", "job"], 0),
    "`dlhw epohcs=2`": ([DLHW, "epohcs=2"], 2),
    "`dlhw`, until its first step is done": ([sys.executable, "-c", FIRST_STEP], 0),
}
WANTED = {"`dlhw`, until its first step is done": 1.5}


def seconds(command: list[str], code: int, folder: str) -> float:
    """Wall time of a command. Raises RuntimeError where it ends with another exit code."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    taken = time.perf_counter() - start
    if done.returncode != code:
        raise RuntimeError(f"{command} ends with {done.returncode}: {done.stderr}")
    return taken


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds of each command in each round."""
    order = random.Random(0)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        for index in range(rounds + 1):
            for name in order.sample(list(COMMANDS), len(COMMANDS)):
                taken = seconds(*COMMANDS[name], folder)
                if index:  # the first round warms up
                    times[name].append(taken)
    return times


def quartiles(times: list[float], base: list[float]) -> list[float]:
    return statistics.quantiles([one / other for one, other in zip(times, base, strict=True)], n=4)


def table(times: dict[str, list[float]]) -> str:
    lines = ["| command | seconds | over import torch | wanted |", "|---|---|---|---|"]
    for name, taken in times.items():
        low, middle, high = quartiles(taken, times[TORCH])
        ratio = f"{middle:.2f} [{low:.2f}..{high:.2f}]"
        lines.append(f"| {name} | {statistics.median(taken):.2f} | {ratio} | {WANTED.get(name, '')} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path, help="write the table here too, and the times beside it, as .json")
    args = parser.parse_args()
    times = measure(args.rounds)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    where = (
        f"\n{device_name(device)}, {os.cpu_count()} cores; Python {platform.python_version()}, torch "
        f"{torch.__version__}; dlhw {git_commit()}; {args.rounds} rounds: medians, and medians [quartiles] of the "
        f"ratios within a round.\n"
    )
    text = "\n".join([table(times), where])
    print(text)
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(f"# Start-up\n\n    python benchmarks/startup.py\n\n{text}")
        args.output.with_suffix(".json").write_text(json.dumps(times, indent=2) + "\n")


if __name__ == "__main__":
    main()
