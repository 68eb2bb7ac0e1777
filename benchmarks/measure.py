"""How every benchmark here measures, and what it leaves.

Machines are shared and noisy: absolute figures drift threefold within minutes. So what is compared runs in short chunks
that take turns in one process, in random order within a round, and what is reported of two is the median over the
rounds of the ratios within a round, with the quartiles.

A report is one Markdown and one JSON file, written from the same rows. The JSON holds each round's figures too.
"""

import argparse
import json
import os
import platform
import random
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from dlhw.errors import UserError
from dlhw.folder.environment import device_name
from dlhw.folder.git import git_commit
from dlhw.machine import choose_device
from dlhw.process import cores

RESULTS = Path(__file__).with_name("results")
PACKAGES = ("dlhw", "torch", "torchvision", "numpy")

Chunk = Callable[[], float]  # does some work and returns how much: samples, operations, whole commands
Rounds = dict[str, list[float]]  # of each variant, round by round


@dataclass(frozen=True)
class Spread:
    """Median and quartiles over the rounds."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.low:.2f}..{self.high:.2f}]"


Cell = str | float | Spread | None
Row = dict[str, Cell]


def speeds(variants: dict[str, Chunk], rounds: int, warm_up: int = 1) -> Rounds:
    """Work a second of each variant in each round; rounds that warm up are left out."""
    order = random.Random(0)
    measured: Rounds = {name: [] for name in variants}
    for index in range(-warm_up, rounds):
        for name in order.sample(list(variants), len(variants)):
            start = time.perf_counter()
            work = variants[name]()
            if index >= 0:
                measured[name].append(work / (time.perf_counter() - start))
    return measured


def spread(values: Sequence[float]) -> Spread:
    if len(values) < 2:
        return Spread(values[0], values[0], values[0])
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(middle, low, high)


def ratio(above: Sequence[float], below: Sequence[float]) -> Spread:
    """Of two variants, within each round."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


class Report:
    """The rows of one benchmark, printed as they come and written at the end."""

    def __init__(self, title: str, args: argparse.Namespace) -> None:
        self.title, self.output = title, args.output
        self.settings = {name: value for name, value in vars(args).items() if name != "output"}
        self.device = torch.device(self.settings.get("device", "cpu"))
        self.load = os.getloadavg()[0]
        self.rows: list[Row] = []
        self.rounds: dict[str, Rounds] = {}
        self.notes: list[str] = []

    def add(self, row: Row, rounds: Rounds | None = None) -> None:
        """A row; what it was worked out from is kept under its first cell."""
        self.rows.append(row)
        if rounds is not None:
            self.rounds[str(next(iter(row.values())))] = rounds
        print(" | ".join(f"{name} {shown(cell)}" for name, cell in row.items()), flush=True)

    def note(self, line: str) -> None:
        """Something that the reader of the table has to know."""
        self.notes.append(line)
        print(line, flush=True)

    def write(self) -> None:
        content = self.content()
        self.output.parent.mkdir(parents=True, exist_ok=True)
        self.output.with_suffix(".json").write_text(json.dumps(content, indent=2) + "\n")
        self.output.write_text(markdown(content, self.rows))
        print(f"{self.output} and {self.output.with_suffix('.json').name} written", flush=True)

    def content(self) -> dict[str, Any]:
        """All of it, in plain types."""
        rows = [{k: asdict(cell) if isinstance(cell, Spread) else cell for k, cell in row.items()} for row in self.rows]
        told = {"title": self.title, "command": shlex.join(["python", *shown_command()])}
        settings = {
            name: value if isinstance(value, int | list) else str(value) for name, value in self.settings.items()
        }
        measured = {"rows": rows, "notes": self.notes, "rounds": self.rounds}
        return {
            **told,
            **machine(self.device),
            "load": [self.load, os.getloadavg()[0]],
            "settings": settings,
            **measured,
        }


def shown_command() -> list[str]:
    """As typed from the repository's root."""
    return [f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]


def machine(device: torch.device) -> dict[str, Any]:
    """What speed depends on beside the code."""
    versions = {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}
    names = [device_name(kind) for kind in dict.fromkeys((device, torch.device("cpu")))]
    return {"machine": ", ".join(names), "cores": cores(), "commit": git_commit(), "versions": versions}


def markdown(content: dict[str, Any], rows: Sequence[Row]) -> str:
    """What `content` says, for readers."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [columns, ["---"] * len(columns), *([shown(row.get(name)) for name in columns] for row in rows)]
    versions = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
    before, after = content["load"]
    rounds = f"{content['settings']['rounds']} round(s): medians, of ratios medians [quartiles] of those within a round"
    parts = [
        f"# {content['title']}",
        f"    {content['command']}",
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
        *content["notes"],
        f"{content['machine']}, {content['cores']} cores, load {before:.1f} before and {after:.1f} after. "
        f"{versions}; commit {content['commit']}. {rounds}.",
    ]
    return "\n\n".join(parts) + "\n"


def shown(cell: Cell) -> str:
    """Three digits, or all of a larger number's."""
    if isinstance(cell, int | float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return "–" if cell is None else str(cell)


def arguments(doc: str, name: str, rounds: int, devices: Sequence[str] = ("cpu", "cuda")) -> argparse.ArgumentParser:
    """The arguments that all have in common. doc: the script's; its first line is the help's."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.set_defaults(name=name)
    parser.add_argument("--rounds", type=at_least_one, default=rounds)
    parser.add_argument("--output", type=Path, help=f"the Markdown file; default benchmarks/results/{name}.md")
    if len(devices) > 1:
        parser.add_argument("--device", choices=devices, default=devices[0])
    return parser


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """What was typed. Where the device is not there, a line says so and the script ends well: others may go on."""
    args = parser.parse_args()
    name = vars(args).pop("name")
    device = getattr(args, "device", "cpu")
    try:
        choose_device(device)
    except UserError as error:
        leave_out(name, str(error))
    args.output = args.output or RESULTS / f"{name}{'' if device == 'cpu' else f'_{device}'}.md"
    return args


def leave_out(name: str, reason: str) -> None:
    """End a part that cannot run here."""
    print(f"{name}: left out: {reason}")
    sys.exit(0)
