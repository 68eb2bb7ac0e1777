"""From what lies in outputs/ to a Report."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dlhw.report.claims import judge_claims
from dlhw.report.contents import Report, Run, Setting
from dlhw.report.finding import Sweep, find
from dlhw.report.run_files import mapping
from dlhw.report.settings import (
    essence,
    has_figure,
    monitors,
    run_settings,
    run_values,
    shown,
    sweep_settings,
    without_seed,
)
from dlhw.report.stats import MOST_COMPARED, compare_best
from dlhw.report.verdicts import judge_rows, study_notes

MOST_COMMANDS = 20


def read_report(paths: Sequence[Path]) -> Report:
    """One sweep or study as it was planned; anything else as runs, compared by the config keys in which they differ.

    Raises UserError for a path that holds no run.
    """
    sweeps, runs = find(paths)
    runs = labelled(runs)
    if len(sweeps) == 1 and len(sweeps[0].runs) == len(runs):
        return of_sweep(replace(sweeps[0], runs=runs))
    keys, values = run_values(runs)
    runs = told_apart(runs, values)
    settings = run_settings(runs, values)
    commands = [sweep.told.get("command") for sweep in sweeps] + [run.results.get("command") for run in runs]
    title = runs[0].label if len(runs) == 1 else f"{len(runs)} runs"
    return report("runs", title, own_place(runs), commands, keys, settings, runs)


def of_sweep(sweep: Sweep) -> Report:
    told = sweep.told
    study = told.get("study") if isinstance(told.get("study"), dict) else None
    kind = "sweep" if study is None else "study"
    title = str(mapping(study).get("title") or told.get("name") or sweep.folder.name)
    commands = [told.get("command")] if told.get("command") else [run.results.get("command") for run in sweep.runs]
    keys = without_seed(told.get("keys") or [])
    made = report(kind, title, sweep.folder, commands, keys, sweep_settings(sweep), sweep.runs)
    if study is None:
        return made
    rows = judge_rows(study, sweep, made.settings)
    metrics = [metric for row in rows for metric in row.reported if metric.startswith("test/")]
    made = replace(made, question=str(study.get("question") or ""), rows=rows, claims=judge_claims(study, rows))
    made = made if has_figure(made.runs, made.metric) or not metrics else with_metric(made, metrics[0])
    return replace(made, notes=[*study_notes(study), *made.notes])


def report(
    kind: Any, title: str, folder: Path, commands: Iterable[Any], keys: list[str], settings: list[Setting],
    runs: list[Run],
) -> Report:  # fmt: skip
    metric = essence(runs)
    chosen_by, best = choose(runs, settings)
    shown = list(dict.fromkeys(str(command) for command in commands if command))[:MOST_COMMANDS]
    made = Report(
        kind=kind, title=title, question="", folder=folder, commands=shown, keys=keys, metric=metric,
        chosen_by=chosen_by, best=best, settings=settings, runs=runs, comparisons=[], rows=[], claims=[], notes=[],
        environment=environment(runs),
    )  # fmt: skip
    return with_metric(made, metric)


def with_metric(made: Report, metric: str) -> Report:
    comparisons = compare_best(made.settings, metric, made.best)
    notes = []
    if sum(comparison.p is not None for comparison in comparisons) > 1:
        notes.append("The p-values are corrected by Holm's method for the comparisons of this report.")
    if len([s for s in made.settings if metric in s.figures]) > MOST_COMPARED:
        notes.append(f"Only {MOST_COMPARED} settings are compared, those nearest in {metric}.")
    if made.best is None and metric.startswith("test/") and len(comparisons) > 1:
        notes.append(f"The setting that others are compared with is the best in {metric} itself, which favours it.")
    if any(mapping(mapping(run.results.get("duplicates")).get("splits")) for run in made.runs):
        notes.append("Some images lie in more than one split: results.json counts them under duplicates.")
    if len(made.runs) > sum(len({run.seed for run in setting.runs}) for setting in made.settings):
        notes.append("Some runs repeat a setting and its seed; the last of them counts.")
    return replace(made, metric=metric, comparisons=comparisons, notes=notes)


def labelled(runs: Sequence[Run]) -> list[Run]:
    """Labels made unique: with the folder above, then with the whole path."""
    for name in (lambda f: f"{f.parent.name}/{f.name}", str):
        count = Counter(run.label for run in runs)
        runs = [run if count[run.label] == 1 else replace(run, label=name(run.folder)) for run in runs]
    return list(runs)


def told_apart(runs: Sequence[Run], values: Sequence[dict[str, Any]]) -> list[Run]:
    """Runs labelled by what they differ in, as a sweep's are, if that is short and tells them apart."""
    seeds = [run.seed for run in runs]
    told = [{**own, "seed": seed} if len(set(seeds)) > 1 else own for own, seed in zip(values, seeds, strict=True)]
    labels = [",".join(f"{key.rpartition('.')[2]}={shown(value)}" for key, value in own.items()) for own in told]
    if len(runs) == 1 or len(set(labels)) < len(runs) or max(map(len, labels)) > 60:
        return list(runs)
    return [replace(run, label=label) for run, label in zip(runs, labels, strict=True)]


def own_place(runs: Sequence[Run]) -> Path:
    """Where a report of these runs lies unless it is told: the same runs find the same folder."""
    hashed = hashlib.sha256("\n".join(sorted(str(run.folder) for run in runs)).encode()).hexdigest()[:8]
    label = re.sub(r"[^\w.,=+-]+", "-", runs[0].label, flags=re.ASCII)[:60].strip("-,.") or "runs"
    return Path.cwd() / "outputs" / "reports" / f"{label}-{hashed}"


def choose(runs: Sequence[Run], settings: Sequence[Setting]) -> tuple[str | None, Setting | None]:
    """The validation metric that the runs were watched by, and the setting whose mean over seeds is best in it.

    Runs that watched different metrics cannot be ranked by one, so nothing is chosen among them.
    """
    watched = monitors(runs)
    if len(watched) != 1 or not watched[0][0].startswith("val/"):
        return None, None
    metric, mode = watched[0]
    measured = [setting for setting in settings if metric in setting.figures]
    if not measured:
        return None, None
    pick = max if mode == "max" else min
    return metric, pick(measured, key=lambda setting: setting.figures[metric].mean)


def environment(runs: Iterable[Run]) -> dict[str, str]:
    """What the results were made with; different values of different runs side by side."""
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        versions = mapping(run.results.get("versions"))
        told = {
            "dlhw": versions.get("dlhw"),
            "git_commit": run.results.get("git_commit"),
            "code": run.results.get("code"),
        }
        told |= {package: versions.get(package) for package in ("python", "torch", "numpy")}
        told |= {"device": device(run.results)}
        told |= {key: run.results.get(key) for key in ("precision", "threads", "platform")}
        for key, value in told.items():
            if value is not None:
                found.setdefault(key, {})[str(value)] = None
    return {key: "; ".join(values) for key, values in found.items()}


def device(results: dict[str, Any]) -> str | None:
    kind, name = results.get("device"), results.get("device_name")
    return f"{kind} ({name})" if kind and name else kind or name
