"""Which pictures come from which arrays, at any size and with any gap in them."""

import time
from pathlib import Path
from typing import Any

import made_up_pictures as made_up
import matplotlib.image
import numpy as np
import pytest
from made_up_pictures import Arrays
from made_up_runs import write_run

from dlhw.plot.run import PLOTS, plot_run

ALWAYS = {"curves", "learning_rate"}  # drawn from the tables: see test_plot_run.py
OF_ARRAYS = {name: draw for name, draw in PLOTS.items() if name not in ALWAYS}
SEGMENTATION = {"segmentation", "iou", "confusion_matrix", "per_class_accuracy"}


def folder_with(folder: Path, arrays: Arrays) -> Path:
    write_run(folder, epochs=2, steps_per_epoch=3)
    np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
    return folder


def drawn(folder: Path, arrays: Arrays, which: Any = "all") -> set[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dlhw.plot.run.PLOTS", OF_ARRAYS)
        files = plot_run(folder_with(folder, arrays), which)
    for file in files:
        assert min(matplotlib.image.imread(file).shape[:2]) > 250, file
    return {file.stem for file in files} - ALWAYS


@pytest.mark.parametrize(
    ("arrays", "plots"),
    [
        (made_up.first_layer(), {"first_layer"}),
        (made_up.first_layer((6, 3, 5, 5)), {"first_layer"}),
        (made_up.first_layer((1, 1, 1, 1)), {"first_layer"}),
        (made_up.first_layer((5, 4, 2, 7)), {"first_layer"}),
        (made_up.first_layer((100, 1, 28, 28)), {"first_layer"}),
        (made_up.first_layer((3, 3, 224, 200)), {"first_layer"}),
        (made_up.filter_outputs(), {"filter_outputs"}),
        (made_up.filter_outputs(1, channels=3), {"filter_outputs"}),
        (made_up.filter_outputs(100), {"filter_outputs"}),
        (made_up.activations(1), {"activations"}),
        (made_up.activations(5, "sigmoid"), {"activations"}),
        (made_up.activations(50), {"activations"}),
        (made_up.segmentation(), SEGMENTATION),
        (made_up.segmentation(1, 32, 3, ("pet", "background", "border")), SEGMENTATION),
        (made_up.segmentation(20, 32, 2, tuple(f"class {i}" for i in range(40))), SEGMENTATION),
        (made_up.restoration(), {"restoration"}),
        (made_up.restoration(1, channels=3), {"restoration"}),
        (made_up.restoration(30), {"restoration"}),
        (made_up.sequence(), {"sequence"}),
        (made_up.sequence(1, 0, window=0), {"sequence"}),
        (made_up.sequence(5000, 4990, noise=0.0, drift=-0.5), {"sequence"}),
        (made_up.xor_surface(), {"decision_surface"}),
        (made_up.xor_surface(learned=False), {"decision_surface"}),
        (made_up.class_surface(), {"decision_surface"}),
        (made_up.class_surface(4, classes=12), {"decision_surface"}),
        (made_up.regression(), {"targets_and_outputs"}),
        (made_up.regression(1), {"targets_and_outputs"}),
        (made_up.regression(3000, whole=True), {"targets_and_outputs"}),
        (made_up.regression(3000), {"targets_and_outputs"}),
    ],
    ids=lambda value: "-".join(sorted(value)) if isinstance(value, set) else "",
)
def test_each_group_of_arrays_gives_its_pictures(tmp_path: Path, arrays: Arrays, plots: set[str]) -> None:
    assert drawn(tmp_path, arrays) == plots


@pytest.mark.parametrize(
    ("arrays", "key"),
    [
        (made_up.first_layer(), "first_layer_before"),
        (made_up.filter_outputs(), "filter_image"),
        (made_up.restoration(), "sample_clean"),
        (made_up.sequence(), "sequence_one_step"),
        (made_up.xor_surface(), "surface_y"),
        (made_up.regression(), "output_values"),
        (made_up.activations(), "activation_names"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_group_that_is_not_whole_is_not_drawn(tmp_path: Path, arrays: Arrays, key: str) -> None:
    assert drawn(tmp_path / "without", {k: array for k, array in arrays.items() if k != key}) == set()
    assert drawn(tmp_path / "empty", arrays | {key: arrays[key].reshape(-1)[:0]}) == set()


def test_only_the_start_or_the_end_of_the_activations(tmp_path: Path) -> None:
    arrays = {key: array for key, array in made_up.activations().items() if not key.endswith("_after")}
    assert drawn(tmp_path, arrays) == {"activations"}


@pytest.mark.parametrize(
    ("value", "share"), [(np.nan, 0.3), (np.nan, 1), (np.inf, 0.3), (0.0, 1), (1e30, 0.3), (1e30, 1), (-7.0, 0.3)]
)
def test_what_a_run_that_went_wrong_leaves_is_drawn_without_a_warning(
    tmp_path: Path, value: float, share: float
) -> None:
    """Floats that are not finite, all the same, or far too large."""
    groups = (
        made_up.first_layer((4, 1, 3, 3)), made_up.filter_outputs(3), made_up.activations(3), made_up.restoration(2),
        made_up.sequence(50, 30), made_up.xor_surface(side=11), made_up.regression(40),
    )  # fmt: skip
    arrays: Arrays = {key: array for group in groups for key, array in group.items()}
    rng = np.random.default_rng(0)
    hit = ("first_layer_after", "filter_outputs", "sample_restored", "sample_psnr_restored", "sequence_one_step",
           "sequence_free_running", "surface_values", "point_outputs", "output_values")  # fmt: skip
    for key in hit:
        arrays[key] = np.where(rng.random(arrays[key].shape) < share, value, arrays[key]).astype(arrays[key].dtype)
    if not np.isfinite(value):
        arrays["activation_edges_after"] = np.full_like(arrays["activation_edges_after"], value)
        arrays["activation_counts_after"] *= 0
    expected = {"first_layer", "filter_outputs", "activations", "restoration", "sequence", "decision_surface"}
    assert drawn(tmp_path, arrays) - {"targets_and_outputs"} == expected


def test_three_colours_that_are_not_finite(tmp_path: Path) -> None:
    arrays = made_up.first_layer((4, 3, 3, 3))
    arrays["first_layer_after"][0] = np.nan
    arrays["first_layer_after"][1] = 0
    assert drawn(tmp_path, arrays) == {"first_layer"}


def test_pixels_without_a_class(tmp_path: Path) -> None:
    arrays = made_up.segmentation(2)
    arrays["sample_masks"][0, :20] = 255
    arrays["sample_masks"][1] = 255
    arrays["iou"] = np.full(11, np.nan)
    assert drawn(tmp_path, arrays) == SEGMENTATION - {"iou"}


@pytest.mark.parametrize(
    ("arrays", "essence"),
    [
        (made_up.segmentation(), {"segmentation"}),
        (made_up.restoration(), {"restoration"}),
        (made_up.sequence() | made_up.regression(), {"sequence"}),
        (made_up.xor_surface() | made_up.regression(4), {"decision_surface"}),
        (made_up.class_surface() | {"confusion": np.eye(3)}, {"decision_surface"}),
        (made_up.regression(), {"targets_and_outputs"}),
        ({"confusion": np.eye(3)}, {"confusion_matrix"}),
        (made_up.first_layer(), set()),
    ],
)
def test_basic_is_the_curves_and_the_picture_of_the_task(tmp_path: Path, arrays: Arrays, essence: set[str]) -> None:
    assert drawn(tmp_path, arrays, "basic") == essence


def test_everything_at_once_is_quick(tmp_path: Path) -> None:
    folder = write_run(tmp_path, epochs=100, steps_per_epoch=600)
    with np.load(folder / "arrays.npz") as stored:
        arrays: Arrays = dict(stored)
    for group in (
        made_up.first_layer((64, 3, 32, 32)), made_up.filter_outputs(64), made_up.activations(16),
        made_up.segmentation(8), made_up.restoration(8), made_up.sequence(), made_up.xor_surface(),
        made_up.regression(10_000),
    ):  # fmt: skip
        arrays |= group
    np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
    plot_run(folder, "basic")  # fonts are read once a process
    started = time.process_time()
    assert [file.stem for file in plot_run(folder)] == [
        plot
        for plot in PLOTS
        if plot != "predictions"  # no run has both classes and masks for its samples
    ]
    assert time.process_time() - started < 12, "about 4 s where it was written, with other work beside it"
