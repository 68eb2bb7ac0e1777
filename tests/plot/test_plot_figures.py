"""What can be said of the figures without eyes."""

import csv
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_runs import CLOTHES, change_arrays, write_run
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dlhw.plot.class_bars import MOST_BARS
from dlhw.plot.confusion_matrix import draw_confusion_matrix, short_count
from dlhw.plot.curves import draw_curves, recorded_metrics
from dlhw.plot.decimate import decimate
from dlhw.plot.image_grid import draw_mistakes, draw_predictions
from dlhw.plot.learning_rate import draw_learning_rate
from dlhw.plot.per_class_accuracy import draw_per_class_accuracy
from dlhw.plot.run_folder import RunFolder, read_run
from dlhw.plot.style import shorten


def drawn(draw: Callable[[RunFolder], Figure | None], folder: Path) -> Figure:
    figure = draw(read_run(folder))
    assert figure is not None
    return figure


def line(ax: Axes, label: str) -> tuple[Any, Any]:
    found = next(line for line in ax.lines if line.get_label() == label)
    return list(np.asarray(found.get_xdata(), float)), list(np.asarray(found.get_ydata(), float))


def labels(ax: Axes) -> list[str]:
    return [str(line.get_label()) for line in ax.lines]


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def bar_widths(ax: Axes) -> list[float]:
    return [bar.get_width() for bar in ax.patches if isinstance(bar, Rectangle)]


def change_cell(path: Path, row: int, column: str, value: str) -> None:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    rows[row][rows[0].index(column)] = value
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def change_results(folder: Path, **changes: Any) -> None:
    results = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps(results | changes))


# curves


def test_curves_pair_up_splits_and_mark_the_best_epoch(run_folder: Path) -> None:
    run = read_run(run_folder)
    figure = drawn(draw_curves, run_folder)
    loss, accuracy = figure.axes
    assert (loss.get_xlabel(), loss.get_ylabel(), accuracy.get_ylabel()) == ("Epoch", "Loss", "Accuracy (%)")
    assert figure.get_suptitle() == "Training curves · lenet5-fashion_mnist"
    assert line(loss, "train") == (list(range(1, 11)), list(run.metrics["train/loss"]))
    assert line(accuracy, "val")[1] == pytest.approx(100 * run.metrics["val/accuracy"])
    best = 100 * run.metrics["val/accuracy"][6]
    assert run.best_epoch == 7
    assert line(accuracy, "_best") == ([7], [pytest.approx(best)])
    assert line(accuracy, "best epoch")[0] == [7, 7]
    tested = 100 * json.loads((run_folder / "results.json").read_text())["test/accuracy"]
    assert line(accuracy, "test, best weights") == ([7], [pytest.approx(tested)])
    assert accuracy.get_title("left") == f"best epoch 7: val {best:.2f}%, test {tested:.2f}%"


def test_curves_without_a_validation_split_test_the_last_weights(tmp_path: Path) -> None:
    loss, _ = drawn(draw_curves, write_run(tmp_path, epochs=3, splits=("train",))).axes
    assert set(labels(loss)) == {"train", "train, each step", "test, last weights"}
    assert line(loss, "test, last weights")[0] == [3]
    assert loss.get_title("left") == "last weights: test 0.3100"


def test_curves_with_a_test_column_draw_it(tmp_path: Path) -> None:
    loss, _ = drawn(draw_curves, write_run(tmp_path, splits=("train", "val", "test"))).axes
    assert len(line(loss, "test")[0]) == 10


@pytest.mark.parametrize(("epochs", "marker"), [(1, "o"), (30, "o"), (100, "")])
def test_points_are_marked_while_they_are_few(tmp_path: Path, epochs: int, marker: str) -> None:
    loss, accuracy = drawn(draw_curves, write_run(tmp_path, epochs=epochs)).axes
    assert next(line for line in loss.lines if line.get_label() == "train").get_marker() in (marker, marker or "None")
    for ax in (loss, accuracy):
        low, high = ax.get_xlim()
        assert low < 1
        assert high > epochs
        assert all(tick == int(tick) for tick in ax.get_xticks())


@pytest.mark.parametrize("value", ["nan", "inf", "", "-inf", "?"])
def test_a_value_that_is_none_leaves_a_gap(run_folder: Path, value: str) -> None:
    change_cell(run_folder / "metrics.csv", 7, "val/loss", value)  # at the best epoch, even
    loss, accuracy = drawn(draw_curves, run_folder).axes
    assert [math.isnan(y) for y in line(loss, "val")[1]] == [epoch == 7 for epoch in range(1, 11)]
    assert "_best" not in labels(loss)
    assert "_best" in labels(accuracy)
    assert loss.get_title("left") == "best epoch 7: test 0.3100"
    assert all(map(math.isfinite, loss.get_ylim()))


def test_a_metric_without_a_finite_value_gets_no_panel(tmp_path: Path) -> None:
    folder = write_run(tmp_path, epochs=1)
    for column in ("train/accuracy", "val/accuracy"):
        change_cell(folder / "metrics.csv", 1, column, "nan")
    assert recorded_metrics(read_run(folder)) == ["loss"]


@pytest.mark.parametrize(("metrics", "shape"), [(1, (1, 1)), (2, (1, 2)), (3, (1, 3)), (4, (2, 2)), (5, (2, 3))])
def test_panels_are_loss_first_and_at_most_three_abreast(tmp_path: Path, metrics: int, shape: tuple[int, int]) -> None:
    names = ("psnr", "miou", "accuracy", "strange_metric")[: metrics - 1]
    axes = drawn(draw_curves, write_run(tmp_path, metrics=(*names, "loss"))).axes
    expected = ["Loss", "PSNR (dB)", "Mean IoU (%)", "Accuracy (%)", "strange metric"]
    assert [ax.get_ylabel() for ax in axes] == expected[:metrics]
    assert axes[0].get_subplotspec().get_gridspec().get_geometry() == shape  # type: ignore[union-attr]


def test_accuracy_beyond_one_is_drawn_as_recorded(run_folder: Path) -> None:
    change_cell(run_folder / "metrics.csv", 1, "train/accuracy", "57.5")
    assert drawn(draw_curves, run_folder).axes[1].get_ylabel() == "Accuracy"


def test_a_loss_over_three_decades_goes_on_a_log_axis(run_folder: Path) -> None:
    assert drawn(draw_curves, run_folder).axes[0].get_yscale() == "linear"
    change_cell(run_folder / "metrics.csv", 10, "train/loss", "1e-5")
    assert drawn(draw_curves, run_folder).axes[0].get_yscale() == "log"


def test_step_losses_lie_among_their_epochs_and_are_few(tmp_path: Path) -> None:
    loss, accuracy = drawn(draw_curves, write_run(tmp_path, epochs=100, steps_per_epoch=1000)).axes
    x, _ = line(loss, "train, each step")
    assert len(x) <= 1202
    assert x == sorted(x)
    assert (x[0], x[-1]) == pytest.approx((0.001, 100))
    assert loss.get_xlim()[0] == accuracy.get_xlim()[0] == 0


def test_one_step_an_epoch_is_not_drawn_twice(tmp_path: Path) -> None:
    assert "train, each step" not in labels(drawn(draw_curves, write_run(tmp_path, steps_per_epoch=1)).axes[0])


def test_a_wild_step_does_not_squeeze_the_curves(run_folder: Path) -> None:
    high = drawn(draw_curves, run_folder).axes[0].get_ylim()[1]
    change_cell(run_folder / "steps.csv", 200, "loss", "1e6")
    assert drawn(draw_curves, run_folder).axes[0].get_ylim()[1] == pytest.approx(high, rel=0.1)


def test_an_interrupted_run_is_named_by_its_folder(run_folder: Path) -> None:
    (run_folder / "results.json").unlink()
    figure = drawn(draw_curves, run_folder)
    assert "best epoch" not in labels(figure.axes[0])
    assert figure.get_suptitle().replace("\n", " ").endswith("/run")


def test_decimation_keeps_ends_and_peaks() -> None:
    x = np.arange(100_000.0)
    y = np.sin(x / 9000)
    y[54_321], y[777], y[5] = 50, -50, np.nan
    kept_x, kept_y = decimate(x, y)
    assert len(kept_x) <= 1202
    assert {0, 54_321, 777, 99_999} <= set(kept_x)
    assert np.array_equal(kept_y, y[kept_x.astype(int)])
    few = decimate(x[:5], y[:5])
    assert np.array_equal(few[0], x[:5])


# learning rate


@pytest.mark.parametrize(
    ("lr", "scale", "said"),
    [
        (lambda progress: 1e-3, "linear", "0.001 throughout"),
        (lambda progress: 0.1 - 0.05 * progress, "linear", "to 0.05"),
        (lambda progress: 0.1 ** (1 + 3 * progress), "log", "to 0.0001"),
        (lambda progress: 0.1 * (1 - progress), "linear", "to 0"),
        (lambda progress: 0.51 - abs(progress - 0.5), "log", "over 0.51"),
        (lambda progress: 0.0, "linear", "0 throughout"),
    ],
)
def test_learning_rate_scale(tmp_path: Path, lr: Callable[[float], float], scale: str, said: str) -> None:
    (ax,) = drawn(draw_learning_rate, write_run(tmp_path, lr=lr)).axes
    assert ax.get_yscale() == scale
    assert said in ax.get_title("left")
    assert "tep" in ax.get_xlabel()
    assert ax.get_ylabel() == "Learning rate"
    assert len(np.asarray(ax.lines[0].get_xdata())) == 400


def test_learning_rate_of_epochs_where_steps_are_absent(run_folder: Path) -> None:
    (run_folder / "steps.csv").unlink()
    (ax,) = drawn(draw_learning_rate, run_folder).axes
    assert list(np.asarray(ax.lines[0].get_xdata())) == [40 * epoch for epoch in range(1, 11)]


# confusion matrix and the accuracy of each class


def names_of(count: int) -> Sequence[str]:
    return CLOTHES if count == 10 else [f"class_{i}" for i in range(count)]


@pytest.mark.parametrize("count", [1, 2, 10, 20])
def test_cells_hold_the_confusion_matrix(tmp_path: Path, count: int) -> None:
    folder = write_run(tmp_path, classes=names_of(count))
    confusion = read_run(folder).arrays["confusion"]
    ax = drawn(draw_confusion_matrix, folder).axes[0]
    cells = {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in ax.texts}
    for (row, column), expected in np.ndenumerate(confusion):
        number, *share = cells[row, column].split("\n")
        assert number == str(expected)
        assert share == ([f"{expected / confusion[row].sum():.1%}"] if count <= 10 and expected else [])
    assert [label.get_text() for label in ax.get_yticklabels()] == list(names_of(count))
    assert [label.get_text() for label in ax.get_xticklabels()] == list(names_of(count))
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("True class", "Predicted class")
    shares = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(shares, confusion / confusion.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(("count", "named"), [(21, 21), (100, 100), (130, 65)])
def test_many_classes_go_without_numbers(tmp_path: Path, count: int, named: int) -> None:
    ax = drawn(draw_confusion_matrix, write_run(tmp_path, classes=names_of(count))).axes[0]
    assert not ax.texts
    assert len(ax.get_yticks()) == named


def test_pixels_are_counted_in_millions(run_folder: Path) -> None:
    given = [0, 99_999, 100_000, 999_999, 1_234_567, 70_000_000, 2_500_000_000]
    assert [short_count(n) for n in given] == ["0", "99999", "100k", "1000k", "1.23M", "70M", "2.5G"]
    change_arrays(run_folder, confusion=np.diag(np.full(10, 1_500_000)))
    assert texts(drawn(draw_confusion_matrix, run_folder).axes[0])[0] == "1.5M\n100.0%"


def test_one_class_present(run_folder: Path) -> None:
    confusion = np.zeros((10, 10), np.int64)
    confusion[3, 3], confusion[3, 6] = 8, 2
    change_arrays(run_folder, confusion=confusion)
    matrix = drawn(draw_confusion_matrix, run_folder).axes[0]
    assert np.ma.getmaskarray(np.ma.asarray(matrix.images[0].get_array()))[:, 0].sum() == 9, (
        "rows without examples have no shares"
    )
    ax = drawn(draw_per_class_accuracy, run_folder).axes[0]
    assert texts(ax) == ["80.0%  (8 of 10)"] + 9 * ["no examples"]


def test_nothing_counted_nothing_drawn(run_folder: Path) -> None:
    change_arrays(run_folder, confusion=np.zeros((10, 10), np.int64))
    assert draw_confusion_matrix(read_run(run_folder)) is None
    assert draw_per_class_accuracy(read_run(run_folder)) is None


def test_classes_without_names_go_by_number(run_folder: Path) -> None:
    change_arrays(run_folder, classes=None)
    ax = drawn(draw_confusion_matrix, run_folder).axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == list("0123456789")


@pytest.mark.parametrize("name", ["$x_1$", "a_b^c", "100 $ or $ 50", "\\alpha"])
def test_names_are_text_and_no_formulas(tmp_path: Path, name: str) -> None:
    figure = drawn(draw_confusion_matrix, write_run(tmp_path, classes=(name, "b")))
    label = figure.axes[0].get_yticklabels()[0]
    assert label.get_text() == name
    assert not label.get_parse_math()


def test_bars_are_sorted_and_the_overall_accuracy_is_a_line(run_folder: Path) -> None:
    confusion = read_run(run_folder).arrays["confusion"]
    ax = drawn(draw_per_class_accuracy, run_folder).axes[0]
    widths = bar_widths(ax)
    recalls = 100 * np.diag(confusion) / confusion.sum(axis=1)
    assert widths == pytest.approx(sorted(recalls, reverse=True))
    shown = {label.get_text(): width for label, width in zip(ax.get_yticklabels(), widths, strict=True)}
    assert shown == pytest.approx(dict(zip(CLOTHES, recalls, strict=True)))
    assert np.asarray(ax.lines[0].get_xdata())[0] == pytest.approx(100 * np.trace(confusion) / confusion.sum())
    assert ax.yaxis.get_inverted()
    assert ax.get_xlabel().endswith("(%)")


def test_of_very_many_classes_the_worst(tmp_path: Path) -> None:
    folder = write_run(tmp_path, classes=names_of(100))
    confusion = read_run(folder).arrays["confusion"]
    figure = drawn(draw_per_class_accuracy, folder)
    widths = bar_widths(figure.axes[0])
    assert widths == pytest.approx(sorted(np.diag(confusion) / 10)[:MOST_BARS][::-1])
    assert figure.get_suptitle().startswith(f"The {MOST_BARS} worst of 100 classes")


# images


def test_right_and_wrong_differ_in_more_than_colour(run_folder: Path) -> None:
    targets = np.zeros(16, np.int64)
    preds = np.where(np.arange(16) % 4 == 0, 5, 0)
    change_arrays(run_folder, sample_targets=targets, sample_preds=preds, sample_probs=np.full(16, 0.876, np.float32))
    ax = drawn(draw_predictions, run_folder).axes[0]
    said = texts(ax)
    assert "✓ right: 12, ✗ wrong: 4" in said[0]
    assert said.count("✓ T-shirt/top 88%") == 12
    assert said.count("✗ Sandal 88%") == said.count("true: T-shirt/top") == 4
    assert sorted({frame.get_linewidth() for frame in ax.patches}) == [1.2, 2.4]
    assert len(ax.images) == 16


def test_probabilities_may_be_absent(run_folder: Path) -> None:
    change_arrays(run_folder, mistake_probs=None)
    assert not any("%" in text for text in texts(drawn(draw_mistakes, run_folder).axes[0]))


def test_at_most_forty_images(tmp_path: Path) -> None:
    assert len(drawn(draw_predictions, write_run(tmp_path, num_images=100, image_shape=(1, 4, 4))).axes[0].images) == 40


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 16, 16), (3, 16, 8), (1, 8, 16)])
def test_images_stand_upright_unstretched_in_their_colours(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    """A bright upper left quarter is found there again, on the canvas."""
    folder = write_run(tmp_path, image_shape=shape, num_images=1)
    channels, high, wide = shape
    image = np.zeros((1, *shape), np.uint8)
    image[0, 0, : high // 2, : wide // 2] = 255
    change_arrays(folder, sample_images=image)
    figure = drawn(draw_predictions, folder)
    (picture,) = figure.axes[0].images
    canvas = figure.canvas
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    box = picture.get_window_extent()
    assert box.width / box.height == pytest.approx(wide / high, rel=0.02)

    def at(across: float, down: float) -> list[int]:
        row = len(pixels) - (box.y1 - down * box.height)
        return list(map(int, pixels[int(row), int(box.x0 + across * box.width)]))

    assert at(0.25, 0.25) == ([255, 255, 255] if channels == 1 else [255, 0, 0])
    assert at(0.75, 0.25) == at(0.25, 0.75) == at(0.75, 0.75) == [0, 0, 0]


# text


def test_shorten_keeps_both_ends() -> None:
    assert shorten("short", 5) == "short"
    assert shorten("two\nlines", 20) == "two lines"
    assert shorten("abcdefghijkl", 7) == "abc…jkl"
    assert len(shorten("x" * 100, 12)) == 12
    assert shorten("\U0010fffd a", 12) == "□ a"
