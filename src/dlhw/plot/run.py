"""The pictures of one run."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure

from dlhw.plot.activations import draw_activations
from dlhw.plot.confusion_matrix import draw_confusion_matrix
from dlhw.plot.curves import draw_curves
from dlhw.plot.decision_surface import draw_decision_surface
from dlhw.plot.filter_outputs import draw_filter_outputs
from dlhw.plot.first_layer import draw_first_layer
from dlhw.plot.image_grid import draw_mistakes, draw_predictions
from dlhw.plot.iou import draw_iou
from dlhw.plot.learning_rate import draw_learning_rate
from dlhw.plot.per_class_accuracy import draw_per_class_accuracy
from dlhw.plot.png import write_png
from dlhw.plot.restoration import draw_restoration
from dlhw.plot.run_folder import RunFolder, read_run
from dlhw.plot.segmentation import draw_segmentation
from dlhw.plot.sequence import draw_sequence
from dlhw.plot.targets_and_outputs import draw_targets_and_outputs

PLOTS: dict[str, Callable[[RunFolder], Figure | None]] = {
    "curves": draw_curves,
    "learning_rate": draw_learning_rate,
    "segmentation": draw_segmentation,
    "restoration": draw_restoration,
    "sequence": draw_sequence,
    "decision_surface": draw_decision_surface,
    "confusion_matrix": draw_confusion_matrix,
    "targets_and_outputs": draw_targets_and_outputs,
    "iou": draw_iou,
    "per_class_accuracy": draw_per_class_accuracy,
    "predictions": draw_predictions,
    "mistakes": draw_mistakes,
    "first_layer": draw_first_layer,
    "filter_outputs": draw_filter_outputs,
    "activations": draw_activations,
}
# The first of these that a folder has data for says the most about its task.
ESSENCE = ("segmentation", "restoration", "sequence", "decision_surface", "confusion_matrix", "targets_and_outputs")


def plot_run(folder: Path, which: Literal["all", "basic", "none"] = "all") -> list[Path]:
    """Draws what the run's folder has data for into `folder/plots/`; hands back the files written.

    basic: the curves and the one picture of the task."""
    if which == "none":
        return []
    run = read_run(folder)
    figures = draw_basic(run) if which == "basic" else draw_all(run)
    return [write_png(figure, folder / "plots" / f"{name}.png") for name, figure in figures]


def draw_all(run: RunFolder) -> Iterator[tuple[str, Figure]]:
    for name, draw in PLOTS.items():
        if (figure := draw(run)) is not None:
            yield name, figure


def draw_basic(run: RunFolder) -> Iterator[tuple[str, Figure]]:
    if (curves := draw_curves(run)) is not None:
        yield "curves", curves
    drawn = ((name, figure) for name in ESSENCE if (figure := PLOTS[name](run)) is not None)
    if (essence := next(drawn, None)) is not None:
        yield essence
