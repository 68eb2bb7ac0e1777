"""A small run of each task, with all the pictures that its data and its net offer."""

import json
from pathlib import Path

import numpy as np
import pytest

import dlhw
from dlhw.one_run import Run

IMAGES = {"first_layer", "filter_outputs", "activations"}
CLASSES = {"confusion_matrix", "per_class_accuracy"}
TINY_UNET = ("model.base_channels=4", "model.depth=2")

RUNS: dict[str, tuple[tuple[str, ...], set[str], tuple[str, ...]]] = {  # overrides, pictures, test figures
    "classification": (
        ("model=lenet5", "dataset.train_size=60", "dataset.test_size=50"),
        {*CLASSES, *IMAGES, "predictions", "mistakes"},
        ("accuracy", "macro_f1", "class_accuracy"),
    ),
    "rounded_mse": (
        ("model=fc", "model.hidden=[16]", "loss=rounded_mse", "model.out_features=1", "dataset.train_size=200"),
        {*CLASSES, "first_layer", "activations", "predictions", "mistakes"},
        ("accuracy", "macro_f1", "class_accuracy"),
    ),
    "toy": (("experiment=cifar10/two_layer_toy",), {*CLASSES, "activations"}, ("accuracy", "macro_f1")),
    "xor": (
        ("experiment=xor/mlp", "log_every=1"),
        {"decision_surface", "targets_and_outputs", "activations"},
        ("mse", "mae"),
    ),
    "canvas": (
        (
            *("dataset=canvas", "dataset.image_size=20", "dataset.object_size=8", *TINY_UNET, "batch_size=8"),
            *("dataset.train_size=24", "dataset.val_size=6", "dataset.test_size=10"),
        ),
        {*CLASSES, *IMAGES, "segmentation", "iou"},
        ("miou", "dice", "pixel_accuracy", "class_iou"),
    ),
    "canvas_dice": (
        (
            *("dataset=canvas", "dataset.image_size=20", "dataset.object_size=8", *TINY_UNET, "loss=dice"),
            *("dataset.train_size=12", "dataset.val_size=0", "dataset.test_size=5", "precision=bf16"),
        ),
        {*CLASSES, *IMAGES, "segmentation", "iou"},
        ("miou", "dice", "pixel_accuracy", "class_iou"),
    ),
    "denoise": (
        ("dataset=denoise", "dataset.image_size=12", "dataset.train_size=40", "dataset.test_size=20", *TINY_UNET),
        {*IMAGES, "restoration"},
        ("psnr", "ssim"),
    ),
    "denoise_smallest": (
        ("dataset=denoise", "dataset.image_size=8", "dataset.train_size=20", "dataset.test_size=3", *TINY_UNET),
        {*IMAGES, "restoration"},
        ("psnr", "ssim"),
    ),
    "sine": (
        ("dataset=sine", "dataset.length=300", "dataset.val_size=60", "dataset.test_size=80", "limit_batches=1"),
        {"sequence"},
        ("mse", "mae"),
    ),
}


def small_run(folder: Path, name: str, *more: str) -> Run:
    return dlhw.run("device=cpu", "threads=1", "epochs=2", *RUNS[name][0], *more, f"hydra.run.dir={folder}")


@pytest.mark.parametrize("name", RUNS)
def test_a_small_run(name, tmp_path):
    ended, (_, pictures, figures) = small_run(tmp_path / "run", name), RUNS[name]
    check_pictures(ended, pictures)
    check_figures_and_columns(ended, figures)
    if name in ALSO:
        ALSO[name](ended)


def check_pictures(ended: Run, pictures: set[str]) -> None:
    files = sorted((ended.folder / "plots").iterdir())
    assert {file.name for file in files} == {f"{name}.png" for name in {*pictures, "curves", "learning_rate"}}
    assert sorted(ended.plots) == files
    assert all(file.read_bytes().startswith(b"\x89PNG") and file.stat().st_size > 5000 for file in files)


def check_figures_and_columns(ended: Run, figures: tuple[str, ...]) -> None:
    results = json.loads((ended.folder / "results.json").read_text())
    assert {f"test/{figure}" for figure in figures} <= set(results)
    assert all(np.isfinite(value) for key, value in results.items() if key.startswith("test/") and np.isscalar(value))
    for scores in results["baselines"].values():
        assert {f"test/{key}" for key in scores} <= set(results)  # comparable, name by name
    assert len(ended.rows) == 2
    columns = {key.partition("/")[2] for key in ended.rows[0] if key.startswith("train/")}
    assert "loss" in columns
    assert {f"val/{name}" for name in columns} <= set(ended.rows[0]) or "val/loss" not in ended.rows[0]
    assert (results["best_epoch"] is None) == ("val/loss" not in ended.rows[0])


def arrays(ended: Run) -> dict[str, np.ndarray]:
    with np.load(ended.folder / "arrays.npz", allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def check_canvas(ended: Run) -> None:
    """What the figures say is what the arrays show."""
    found = arrays(ended)
    confusion = found["confusion"]
    assert confusion.sum() == 10 * 20 * 20
    assert ended.results["test/pixel_accuracy"] == confusion.trace() / confusion.sum()
    assert ended.results["test/miou"] == pytest.approx(np.nanmean(found["iou"]))
    assert found["sample_images"].shape == (8, 1, 20, 20)
    assert found["sample_masks"].shape == found["sample_mask_preds"].shape == (8, 20, 20)
    assert found["first_layer_before"].shape == found["first_layer_after"].shape
    assert not np.array_equal(found["first_layer_before"], found["first_layer_after"])
    assert ended.results["monitor"] == "val/miou (max)"


def check_rounded_mse(ended: Run) -> None:
    assert ended.results["layers"][-1]["output_shape"][-1] == 1
    found = arrays(ended)
    assert ended.results["test/accuracy"] == (found["test_preds"] == found["test_targets"]).mean()
    assert set(found["test_preds"].tolist()) <= set(range(10))
    assert ended.results["train/loss"] < 30  # guessing 0 costs 28.5


ALSO = {"canvas": check_canvas, "rounded_mse": check_rounded_mse}


def test_basic_plots_and_none(tmp_path):
    assert {file.stem for file in small_run(tmp_path / "basic", "sine", "plots=basic").plots} == {"curves", "sequence"}
    assert small_run(tmp_path / "none", "sine", "plots=none").plots == []
    assert not [key for key in arrays(small_run(tmp_path / "again", "xor", "plots=basic")) if "activation" in key]


def test_looking_inside_changes_no_figure(tmp_path):
    """Views are taken before and after training; neither moves weights, statistics or random numbers."""
    looked, not_looked = (
        small_run(tmp_path / plots, "classification", "model.batchnorm=true", "model.dropout=0.3", f"plots={plots}")
        for plots in ("all", "none")
    )
    assert looked.results["test/loss"] == not_looked.results["test/loss"]
    assert [row["train/loss"] for row in looked.rows] == [row["train/loss"] for row in not_looked.rows]


def test_weights_that_blow_up_in_the_last_step_still_leave_figures(tmp_path):
    """No loss was infinite while it was trained, so the run ends well; its pictures show what there is."""
    blown = ("epochs=1", "limit_batches=1", "optimizer=sgd", "optimizer.lr=1e35", "dataset.val_size=0", "model=fc")
    overrides = ("dataset.train_size=60", "dataset.test_size=50", "model.activation=relu", *blown)
    ended = dlhw.run("device=cpu", "threads=1", *overrides, f"hydra.run.dir={tmp_path / 'run'}")
    assert not np.isfinite(ended.results["test/loss"]) or ended.results["test/loss"] > 1e6
    assert "activation_counts_after" in arrays(ended)
