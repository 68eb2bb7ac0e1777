"""Reports made by hand, of the shapes that reading.py hands over."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from dlhw.report.contents import Claim, Comparison, Estimate, Report, Row, Run, Setting, Status

NOWHERE = Path("outputs/sweeps/made_up-0a1b2c3d")
LONG_NAME = "a_model_with_a_name_of_great_length_indeed"
TRACEBACK = """Traceback (most recent call last):
  File "src/dlhw/one_run.py", line 75, in run
    <script>document.title = "attacked"</script> & "quoted"
dlhw.errors.RunFailed: the training loss is nan at step 41 (epoch 1) & <b>no more</b>"""


def made_rows(top: float, epochs: int, rng: np.random.Generator, test: bool = False) -> dict[str, np.ndarray]:
    """metrics.csv of a run that learns up to `top`."""
    epoch = np.arange(1.0, epochs + 1)
    progress = 1 - np.exp(-3 * epoch / epochs)
    accuracy = 0.1 + (top - 0.1) * progress + rng.normal(0, 0.004, epochs)
    loss = -np.log(np.clip(accuracy, 0.01, 0.999))
    rows = {
        "epoch": epoch, "step": 40 * epoch, "lr": np.full(epochs, 1e-3),
        "train/loss": 0.9 * loss, "train/accuracy": np.minimum(accuracy + 0.01, 1), "val/loss": loss,
        "val/accuracy": accuracy,
    }  # fmt: skip
    if test:
        rows |= {"test/loss": rows.pop("val/loss") + 0.02, "test/accuracy": rows.pop("val/accuracy") - 0.005}
    return rows | {"seconds": np.full(epochs, 0.8), "samples_per_second": np.full(epochs, 15_470.0)}


def made_run(
    values: Mapping[str, Any], top: float = 0.95, seed: int = 0, epochs: int = 10, status: Status = "finished",
    test: bool = False, seconds: float = 8.0, folder: Path = NOWHERE,
) -> Run:  # fmt: skip
    overrides = [f"{key}={value}" for key, value in values.items()] + [f"seed={seed}"]
    label = ",".join(f"{key.rpartition('.')[2]}={value}" for key, value in [*values.items(), ("seed", seed)])
    digest = zlib.crc32(label.encode())
    rows = made_rows(top, epochs, np.random.default_rng(digest), test)
    last = {key: float(column[-1]) for key, column in rows.items() if "/" in key}
    figures = {
        "test/accuracy": last["train/accuracy"] - 0.03, "test/loss": last["train/loss"] + 0.1, **last,
        "gap": 0.03, "seconds": seconds, "best_epoch": float(epochs), "epochs": float(epochs), "parameters": 407050.0,
    }  # fmt: skip
    config = {"name": "fc_digits", "model._target_": "dlhw.model.fc.FC", "epochs": epochs, **values, "seed": seed}
    failed = status in ("failed", "interrupted")
    if status == "queued":
        rows = {}
    elif status != "finished":
        rows = {key: column[:3] for key, column in rows.items()}
    return Run(
        folder / f"{label}-{digest:08x}", label, status, overrides, config,
        figures if status == "finished" else {}, dict(figures) if status == "finished" else {}, rows,
        "the training loss is nan at step 41 (epoch 1) & <b>no more</b>" if failed else "",
        TRACEBACK if failed else "",
    )  # fmt: skip


def estimate(values: Sequence[float]) -> Estimate:
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Estimate(float(np.mean(values)), sd, tuple(values))


def made_setting(values: dict[str, Any], runs: list[Run]) -> Setting:
    finished = [run for run in runs if run.status == "finished"]
    names = finished[0].figures if finished else {}
    return Setting(values, runs, {name: estimate([run.figures[name] for run in finished]) for name in names})


def made_report(settings: list[Setting], **changes: Any) -> Report:
    runs = [run for setting in settings for run in setting.runs]
    done = [setting for setting in settings if setting.figures]
    judged_by = [setting for setting in done if "val/accuracy" in setting.figures]
    best = max(judged_by, key=lambda setting: setting.figures["val/accuracy"].mean, default=None)
    report = Report(
        kind="sweep", title="fc_digits", question="", folder=NOWHERE,
        commands=["dlhw -m model=fc optimizer.lr=0.0001,0.001,0.01 seed=0,1,2"],
        keys=list(settings[0].values), metric="test/accuracy", chosen_by="val/accuracy", best=best,
        settings=settings, runs=runs, comparisons=[], rows=[], claims=[], notes=[],
        environment={"dlhw": "0.1.0", "torch": "2.11.0", "device": "cpu (AMD EPYC)", "git_commit": "eb419f39124b"},
    )  # fmt: skip
    return replace(report, **changes)


def sweep_of(
    grid: Mapping[str, Sequence[Any]], seeds: Sequence[int] = (0,), top: Any = None, folder: Path = NOWHERE
) -> list[Setting]:
    """A setting for each combination; `top` takes its values to where the accuracy ends."""
    settings = []
    for combination in product(*grid.values()):
        values = dict(zip(grid, combination, strict=True))
        height = top(values) if top else 0.9
        took = 4.0 + 3 * len(settings)
        runs = [
            made_run(values, height + 0.004 * (seed - 1), seed, seconds=took + 0.4 * seed, folder=folder)
            for seed in seeds
        ]
        settings.append(made_setting(values, runs))
    return settings


def peak(rate: float) -> float:
    """The best learning rate is 0.003."""
    return float(0.95 - 0.08 * np.log10(rate / 3e-3) ** 2)


def lr_sweep(folder: Path = NOWHERE) -> Report:
    grid = {"optimizer.lr": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]}
    settings = sweep_of(grid, (0, 1, 2), lambda values: peak(values["optimizer.lr"]), folder)
    best, other = settings[3], settings[2]
    difference = best.figures["test/accuracy"].mean - other.figures["test/accuracy"].mean
    says = f"lr=0.003 beats lr=0.001 by {difference:.4f} in test/accuracy (3 seeds each, paired t test, p = 0.03)."
    return made_report(settings, comparisons=[Comparison("test/accuracy", best, other, difference, 0.03, True, says)])


def grid_sweep() -> Report:
    """Two keys, one of them numeric, a cell that failed and one that is queued."""
    grid = {"optimizer.lr": [1e-3, 3e-3, 1e-2], "model.hidden": ["[64]", "[128]", "[512]", "[512, 512]"]}
    settings = sweep_of(grid, (0, 1), lambda values: peak(values["optimizer.lr"]) + 0.002 * len(values["model.hidden"]))
    for at, status in ((11, "failed"), (7, "queued")):
        values = settings[at].values
        settings[at] = made_setting(values, [made_run(values, seed=seed, status=status) for seed in (0, 1)])
    return made_report(settings)


def categorical_sweep() -> Report:
    tops = {
        "fc": 0.9,
        "lenet5": 0.96,
        "convnet": 0.975,
        "vgg16": 0.93,
        "a_model_with_a_name_of_great_length_indeed": 0.88,
    }
    return made_report(sweep_of({"model": list(tops)}, (0, 1, 2), lambda values: tops[values["model"]]))


def wide_sweep() -> Report:
    """Three keys, one with a zero; more combinations than lines may be drawn."""
    grid = {"optimizer.lr": [1e-3, 3e-3, 1e-2], "optimizer.weight_decay": [0, 1e-4, 1e-2], "model.hidden": list("abcd")}
    return made_report(sweep_of(grid, (0,), lambda values: peak(values["optimizer.lr"])))


def failing_sweep(folder: Path = NOWHERE) -> Report:
    """A finished setting, one with a failed seed, one that failed and one that is queued; an interrupted one."""
    finished: list[Status] = ["finished", "finished"]
    statuses: dict[float, list[Status]] = {
        0.01: finished, 0.1: ["finished", "failed"], 1.0: ["failed", "interrupted"], 10.0: ["queued", "running"],
    }  # fmt: skip
    settings = [
        made_setting({"optimizer.lr": rate}, [made_run({"optimizer.lr": rate}, seed=seed, status=status, folder=folder)
                                              for seed, status in enumerate(row)])
        for rate, row in statuses.items()
    ]  # fmt: skip
    return made_report(settings)


def all_failed() -> Report:
    swept = [{"optimizer.lr": rate} for rate in (0.1, 1.0, 10.0)]
    return made_report([made_setting(values, [made_run(values, status="failed")]) for values in swept])


def one_run(folder: Path = NOWHERE) -> Report:
    setting = made_setting({}, [made_run({}, folder=folder)])
    return made_report([setting], kind="runs", commands=["dlhw model=fc"], best=None)


NOTES = [
    "Source: report 004.", "The source does not say how it initialises; Xavier is inferred.",
    "Judged on the test split, with the last weights.",
]  # fmt: skip


def study() -> Report:
    """Three tables: numeric with curves, categorical, and one with a row that has not run."""
    rates = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3]
    reported = {rate: peak(rate) - 0.03 for rate in rates}
    rows, settings = [], []
    for rate in rates:
        values = {"optimizer.lr": rate}
        setting = made_setting(values, [made_run(values, peak(rate), seed, test=True) for seed in (0, 1, 2)])
        told = {"train/loss": 0.3 - 20 * rate, "test/accuracy": reported[rate]}
        row = judged("learning_rate", f"{rate:g}", setting, told)
        if rate == 1e-3:
            curve = made_rows(0.93, 10, np.random.default_rng(5), test=True)
            row = replace(row, curves={key: list(curve[key]) for key in ("train/loss", "test/accuracy")})
        rows.append(row)
        settings.append(setting)
    for name, figure in {"sigmoid": 0.91, "tanh": 0.915, "relu": 0.93, "leaky_relu": 0.932}.items():
        values = {"model.activation": name}
        setting = made_setting(values, [made_run(values, figure + 0.02, test=True)])
        note = "the source says 'ReLU' & gives no slope" if name == "leaky_relu" else ""
        rows.append(replace(judged("activation", name, setting, {"test/accuracy": figure}), note=note))
        settings.append(setting)
    waiting = made_setting({"model": "lenet5_best"}, [made_run({"model": "lenet5_best"}, status="queued")])
    told = {"test/accuracy": 0.9207}
    rows.append(Row("best", "all together", waiting, told, {"test/accuracy": "not run"}, "not run"))
    rows.append(Row("best", "elsewhere", None, {"train/loss": 0.0096}, {}, "not run"))
    settings.append(waiting)
    claims = [
        Claim("A larger learning rate trains further.", "holds", "test/accuracy 0.81, 0.86, 0.91, 0.93, 0.94"),
        Claim("Batch norm helps.", "within seed noise", "0.931 against 0.930, margin 0.004"),
        Claim("Sigmoid learns nothing.", "does not hold", "0.91 where <script>alert(1)</script> is 0.1"),
        Claim("A GPU trains faster.", "not judged", "needs a CUDA device"),
    ]  # fmt: skip
    return made_report(
        settings, kind="study", title="LeNet-5 on Fashion-MNIST", rows=rows, claims=claims, chosen_by=None, best=None,
        question="Which learning rate and which activation let LeNet-5 learn clothes best?",
        keys=["optimizer.lr", "model.activation", "model"], commands=["dlhw study=fashion_lenet5"], notes=NOTES,
    )  # fmt: skip


def judged(table: str, label: str, setting: Setting, reported: dict[str, float]) -> Row:
    off = {name: abs(setting.figures[name].mean - value) for name, value in reported.items()}
    verdicts = {name: "agrees" if away < 0.02 else "differs" for name, away in off.items()}
    verdict = "differs" if "differs" in verdicts.values() else "agrees"
    return Row(table, label, setting, reported, verdicts, verdict)  # type: ignore[arg-type]


REPORTS = {
    "lr_sweep": lr_sweep, "grid_sweep": grid_sweep, "categorical_sweep": categorical_sweep, "wide_sweep": wide_sweep,
    "failing_sweep": failing_sweep, "all_failed": all_failed, "one_run": one_run, "study": study,
}  # fmt: skip
