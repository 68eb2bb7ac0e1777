"""The pictures of one run."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure

from dlhw.plot.confusion_matrix import draw_confusion_matrix
from dlhw.plot.curves import draw_curves
from dlhw.plot.image_grid import draw_mistakes, draw_predictions
from dlhw.plot.learning_rate import draw_learning_rate
from dlhw.plot.per_class_accuracy import draw_per_class_accuracy
from dlhw.plot.png import write_png
from dlhw.plot.run_folder import RunFolder, read_run

PLOTS: dict[str, Callable[[RunFolder], Figure | None]] = {
    "curves": draw_curves,
    "learning_rate": draw_learning_rate,
    "confusion_matrix": draw_confusion_matrix,
    "per_class_accuracy": draw_per_class_accuracy,
    "predictions": draw_predictions,
    "mistakes": draw_mistakes,
}
BASIC = ("curves", "confusion_matrix")


def plot_run(folder: Path, which: Literal["all", "basic", "none"] = "all") -> list[Path]:
    """Draws what the run's folder has data for into `folder/plots/`; hands back the files written."""
    wanted = {"all": tuple(PLOTS), "basic": BASIC, "none": ()}[which]
    if not wanted:
        return []
    run = read_run(folder)
    figures = ((name, PLOTS[name](run)) for name in wanted)
    return [write_png(figure, folder / "plots" / f"{name}.png") for name, figure in figures if figure is not None]
