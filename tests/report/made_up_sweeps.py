"""Folders of sweeps, studies and runs, as they lie in outputs/, written by hand."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

CONFIG = {
    "model": {"_target_": "dlhw.model.fc.FC", "hidden": [512], "dropout": 0.0},
    "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.001},
    "dataset": {"_target_": "dlhw.dataset.digits.Digits", "seed": "${seed}", "num_workers": 0},
    "name": "fc_digits", "seed": 0, "epochs": 2, "threads": "auto", "plots": "all",
}  # fmt: skip
RESULTS = {
    "name": "fc_digits", "epochs": 2, "best_epoch": 2, "monitor": "val/accuracy (max)", "parameters": 407050,
    "threads": 1, "precision": "fp32", "device": "cpu", "device_name": "AMD EPYC", "git_commit": "eb419f3",
    "versions": {"python": "3.11.7", "dlhw": "0.1.0", "torch": "2.11.0"}, "loss_below": None,
    "test/class_accuracy": [0.9, 0.8], "baselines": {"majority_class": {"accuracy": 0.1}},
}  # fmt: skip


def write_run(
    folder: Path,
    overrides: Sequence[str] = (),
    config: Mapping[str, Any] | None = None,
    figures: Mapping[str, Any] | None = None,
    status: str = "finished",
    losses: Sequence[float] = (2.0, 1.5, 1.0),
    **told: Any,
) -> Path:
    """config: changes by dotted keys. figures: of results.json, if it finished. told: of status.json."""
    composed = json.loads(json.dumps(CONFIG))
    for key, value in (config or {}).items():
        *above, last = key.split(".")
        node = composed
        for part in above:
            node = node[part]
        node[last] = value
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(composed, sort_keys=False))
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(list(overrides)))
    (folder / "status.json").write_text(json.dumps({"status": status, **told}))
    lines = [f"{step},1,0.001,{loss!r}\n" for step, loss in enumerate(losses, 1)]
    (folder / "steps.csv").write_text("".join(["step,epoch,lr,loss\n", *lines]))
    (folder / "metrics.csv").write_text("epoch,step,train/loss,samples_per_second\n1,2,1.5,100.0\n2,4,1.0,300.0\n")
    if status == "finished":
        results = {**RESULTS, "seed": composed["seed"], "command": f"dlhw {' '.join(overrides)}", **(figures or {})}
        (folder / "results.json").write_text(json.dumps(results))
    return folder


def accuracies(test: float, val: float | None = None, **more: Any) -> dict[str, Any]:
    """Figures of a run. Without `val` there was no validation split."""
    watched = {"monitor": None, "best_epoch": None} if val is None else {"val/accuracy": val}
    return {"test/accuracy": test, "test/loss": 1 - test, "train/accuracy": 0.96, "train/loss": 0.25, "seconds": 8.0,
            **watched, **more}  # fmt: skip


def write_sweep(folder: Path, keys: Sequence[str], runs: Sequence[Mapping[str, Any]], **told: Any) -> Path:
    """runs: `values` (by key), and what write_run takes; with `rows` in a study; `queued` ones have no folder."""
    entries = []
    for index, run in enumerate(runs):
        run = dict(run)
        values, rows, queued = run.pop("values"), run.pop("rows", []), run.pop("queued", False)
        overrides = [f"{key}={value}" for key, value in values.items()]
        name = ",".join(f"{key.rpartition('.')[2]}={value}" for key, value in values.items()) + f"-{index:08x}"
        entries.append({"folder": name, "hash": f"{index:08x}", "overrides": overrides, "values": values, "rows": rows})
        if not queued:
            config = {key: value for key, value in values.items() if key not in ("model", "optimizer")}
            write_run(folder / name, overrides, {**config, **run.pop("config", {})}, **run)
    folder.mkdir(parents=True, exist_ok=True)
    plan = {"kind": "sweep", "name": "fc_digits", "command": "dlhw -m optimizer.lr=0.1,0.01 seed=0,1", "runs": entries,
            "keys": list(keys), "study": None, **told}  # fmt: skip
    (folder / "sweep.json").write_text(json.dumps(plan))
    return folder


TESTED = {0.1: (0.5, 0.75), 0.01: (0.875, 0.9375), 0.001: (0.75, 0.75)}


def lr_sweep(folder: Path) -> Path:
    """Test accuracies as in TESTED, seeds 0 and 1; validation has all of them higher by 1/32."""
    runs = [
        {"values": {"optimizer.lr": lr, "seed": seed}, "figures": accuracies(tested, tested + 0.03125)}
        for lr, both in TESTED.items()
        for seed, tested in enumerate(both)
    ]
    return write_sweep(folder, ["optimizer.lr", "seed"], runs)


def lr_study(
    folder: Path,
    measured: Mapping[float, Sequence[float]],
    reported: Sequence[float | None],
    failed: Mapping[float, str] | None = None,
    **told: Any,
) -> Path:
    """A table `learning_rate` with a row for each key of `measured`, its values by seed; no values: queued.

    failed: the error of a row's only run."""
    runs: list[dict[str, Any]] = []
    for lr, values in measured.items():
        place: dict[str, Any] = {"rows": [["learning_rate", str(lr)]]}
        for seed, value in enumerate(values):
            runs.append({"values": {"optimizer.lr": lr, "seed": seed}, "figures": accuracies(value), **place})
        if not values:
            state = {"status": "failed", "error": failed[lr]} if failed and lr in failed else {"queued": True}
            runs.append({"values": {"optimizer.lr": lr, "seed": 0}, **state, **place})
    study = {
        "name": "made_up", "title": "LeNet-5 on clothes", "question": "Which rate?", "source": "report 004",
        "notes": ["Xavier is inferred."], "base": ["model=lenet5"], "tolerance": {"test/accuracy": 0.01},
        "noise": {"test/accuracy": 0.0025},
        "tables": {"learning_rate": {"by": "optimizer.lr", "values": list(measured),
                                     "reported": {"test/accuracy": list(reported)}}},
        **told,
    }  # fmt: skip
    return write_sweep(folder, ["optimizer.lr", "seed"], runs, kind="study", name="made_up", study=study)
