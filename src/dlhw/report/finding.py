"""Where runs lie: the paths that a person names, walked down to sweeps and runs."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dlhw.errors import UserError
from dlhw.report.contents import Run
from dlhw.report.run_files import mapping, read_json, read_run

PLACES = ("outputs/sweeps", "outputs/studies", "outputs/runs")


@dataclass(frozen=True)
class Sweep:
    """A sweep's or a study's folder. told: its sweep.json. runs: in its order, those that have not begun included."""

    folder: Path
    told: dict[str, Any]
    runs: list[Run]

    @property
    def entries(self) -> list[dict[str, Any]]:
        return listed(self.told)


def find(paths: Sequence[Path]) -> tuple[list[Sweep], list[Run]]:
    """The sweeps, and all runs, each once, in the order named. Raises UserError for a path that holds none."""
    sweeps: dict[Path, Sweep] = {}
    runs: dict[Path, Run] = {}
    for path in paths:
        found = list(walk(path.resolve()))
        if not found:
            raise UserError(nothing_there(path))
        for folder, told in found:
            if told is None:
                runs.setdefault(folder, read_run(folder))
            elif folder not in sweeps:
                sweeps[folder] = read_sweep(folder, told)
                runs |= {run.folder: run for run in sweeps[folder].runs}
    return list(sweeps.values()), list(runs.values())


def walk(top: Path) -> Iterator[tuple[Path, dict[str, Any] | None]]:
    """Sweeps with their sweep.json and single runs with None, in the order of their names; `top` may be one itself."""
    for name, folders, files in os.walk(top):
        folder = Path(name)
        folders.sort()
        told = mapping(read_json(folder / "sweep.json")) if "sweep.json" in files else {}
        if listed(told):
            yield folder, told
        elif is_run(folder):
            yield folder, None
        else:
            continue
        folders.clear()


def is_run(folder: Path) -> bool:
    """status.json alone is enough: a run may have lost its config."""
    return (folder / ".hydra" / "config.yaml").is_file() or (folder / "status.json").is_file()


def listed(told: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs of a sweep.json."""
    entries = told.get("runs")
    entries = entries if isinstance(entries, list) else []
    return [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("folder"), str)]


def read_sweep(folder: Path, told: dict[str, Any]) -> Sweep:
    return Sweep(folder, told, [read_run(folder / entry["folder"], entry) for entry in listed(told)])


def nothing_there(path: Path) -> str:
    """Why a path is of no use, with the nearest one that is there."""
    if path.is_file():
        return f"{path}: is a file; name the folder of a run or a sweep, as in {path.parent}"
    why = "holds no run" if path.is_dir() else "no such folder"
    return f"{path}: {why}; name the folder of a run, of a sweep, or one above them, such as outputs{near(path)}"


def near(path: Path) -> str:
    """Among the folders beside the first part that is missing, then among all sweeps, studies and names of runs."""
    missing, above = path, path.parent
    while not above.is_dir() and above != above.parent:
        missing, above = above, above.parent
    beside = {child.name: child for child in subfolders(above)}
    match = get_close_matches(missing.name, beside, n=1)
    if match and beside[match[0]].resolve() != path.resolve():
        return f"; did you mean {beside[match[0]]}?"
    known = {child.name: child for place in PLACES for child in subfolders(Path(place))}
    match = get_close_matches(path.name, known, n=1, cutoff=0.5)
    return f"; did you mean {known[match[0]]}?" if match else ""


def subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(child for child in folder.iterdir() if child.is_dir())
    except OSError:
        return []
