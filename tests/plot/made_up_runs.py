"""Run folders with made-up data of the shapes that runs leave behind."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def write_csv(path: Path, columns: dict[str, Any]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def plausible_confusion(num_classes: int, per_class: int, rng: np.random.Generator) -> NDArray[np.int64]:
    wrong = rng.dirichlet(np.full(num_classes, 0.15), num_classes)
    right = rng.uniform(0.7, 0.99, (num_classes, 1))
    shares = right * np.eye(num_classes) + (1 - right) * wrong
    return np.stack([rng.multinomial(per_class, row / row.sum()) for row in shares]).astype(np.int64)


def write_run(
    folder: Path,
    epochs: int = 10,
    steps_per_epoch: int = 40,
    classes: Sequence[str] = CLOTHES,
    splits: Sequence[str] = ("train", "val"),
    metrics: Sequence[str] = ("loss", "accuracy"),
    image_shape: tuple[int, int, int] = (1, 28, 28),
    num_images: int = 16,
    num_mistakes: int = 12,
    name: str = "lenet5-fashion_mnist",
    lr: Callable[[float], float] = lambda progress: 1e-3,
) -> Path:
    """A finished classification run; `lr` takes the run's progress in [0, 1]. Tests take away what theirs lacks."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    epoch = np.arange(1, epochs + 1)
    total = epochs * steps_per_epoch
    columns: dict[str, Any] = {
        "epoch": epoch, "step": epoch * steps_per_epoch, "lr": [lr(e / epochs) for e in epoch],
    }  # fmt: skip
    gap = {"train": 0.0, "val": 0.06, "test": 0.08}
    for split in splits:
        for metric in metrics:
            loss = 2.2 * np.exp(-4 * epoch / epochs) + 0.1 + gap[split] * (1 + 4 * (epoch / epochs) ** 2)
            noisy = loss + rng.normal(0, 0.01, epochs)
            columns[f"{split}/{metric}"] = noisy if metric == "loss" else np.exp(-0.4 * noisy)
    columns |= {"seconds": np.full(epochs, 3.2), "samples_per_second": np.full(epochs, 18_750.0)}
    write_csv(folder / "metrics.csv", columns)

    step = np.arange(1, total + 1)
    step_loss = (2.2 * np.exp(-4 * step / total) + 0.1) * rng.lognormal(0, 0.15, total)
    write_csv(
        folder / "steps.csv",
        {
            "step": step,
            "epoch": (step - 1) // steps_per_epoch + 1,
            "lr": [lr(s / total) for s in step],
            "loss": step_loss,
        },
    )

    num_classes = len(classes)
    confusion = plausible_confusion(num_classes, 1000, rng)
    arrays: dict[str, NDArray[Any]] = {"classes": np.array(classes), "confusion": confusion}
    for kind, n in (("sample", num_images), ("mistake", num_mistakes)):
        targets = rng.integers(num_classes, size=n)
        off = rng.integers(1, max(num_classes, 2), size=n) * (True if kind == "mistake" else rng.random(n) < 0.3)
        arrays |= {
            f"{kind}_images": rng.integers(256, size=(n, *image_shape), dtype=np.uint8),
            f"{kind}_targets": targets,
            f"{kind}_preds": (targets + off) % num_classes,
            f"{kind}_probs": np.sort(rng.uniform(0.4, 1.0, n).astype(np.float32))[::-1],
        }
    np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
    results = {
        "name": name,
        "best_epoch": max(1, round(0.7 * epochs)) if "val" in splits else None,
        "test/accuracy": float(np.trace(confusion) / confusion.sum()),
        "test/loss": 0.31,
    }
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def change_arrays(folder: Path, **changes: NDArray[Any] | None) -> None:
    """None takes an array away."""
    with np.load(folder / "arrays.npz") as stored:
        arrays = {**stored, **changes}
    np.savez(folder / "arrays.npz", **{key: array for key, array in arrays.items() if array is not None})
