"""What can be said of the pictures without eyes."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made_up_report import (
    REPORTS,
    all_failed,
    categorical_sweep,
    failing_sweep,
    grid_sweep,
    lr_sweep,
    made_report,
    made_run,
    made_setting,
    one_run,
    study,
    sweep_of,
    wide_sweep,
)
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from dlhw.report.contents import Estimate, Report, Setting
from dlhw.report.pictures import MOST_PICTURES, draw_pictures, stem
from dlhw.report.pictures_axes import Places, in_ratio, smaller_is_better
from dlhw.report.pictures_by_key import said_of
from dlhw.report.pictures_curves import MOST_RUNS, curve_columns, thinned
from dlhw.report.pictures_heat_map import why_empty


def drawn(report: Report, name: str) -> Figure:
    return dict(draw_pictures(report))[name]


def line(ax: Axes, label: str) -> tuple[list[float], list[float]]:
    found = next(line for line in ax.lines if line.get_label() == label)
    return list(np.asarray(found.get_xdata(), float)), list(np.asarray(found.get_ydata(), float))


def dots(ax: Axes, label: str) -> tuple[list[float], list[float]]:
    """Of an errorbar."""
    found = next(container for container in ax.containers if container.get_label() == label)
    data: Any = found[0]
    return list(np.asarray(data.get_xdata(), float)), list(np.asarray(data.get_ydata(), float))


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def means(settings: list[Setting], metric: str) -> list[float]:
    return [setting.figures[metric].mean for setting in settings]


def with_figure(setting: Setting, metric: str, value: float) -> Setting:
    return replace(setting, figures={**setting.figures, metric: Estimate(value, None, (value,))})


# which pictures


def test_each_report_gets_the_pictures_it_has_data_for() -> None:
    common = ["curves", "metric_against_seconds"]
    assert {name: [stem for stem, _ in draw_pictures(make())] for name, make in REPORTS.items()} == {
        "lr_sweep": ["by_optimizer.lr", *common],
        "grid_sweep": ["by_optimizer.lr", "by_model.hidden", "heat_map", *common],
        "categorical_sweep": ["by_model", *common],
        "wide_sweep": ["by_optimizer.lr", "by_optimizer.weight_decay", "by_model.hidden", *common],
        "failing_sweep": ["by_optimizer.lr", *common],
        "all_failed": ["curves"],
        "one_run": ["curves"],
        "study": [
            *("table_learning_rate", "table_activation", "curves_learning_rate", "curves_activation"),
            "metric_against_seconds",
        ],
    }


def test_nothing_to_draw_is_no_picture() -> None:
    swept = [{"optimizer.lr": rate} for rate in (1, 2)]
    report = made_report([made_setting(values, [made_run(values, status="queued")]) for values in swept])
    assert list(draw_pictures(report)) == []


def test_pictures_are_few_however_many_keys_there_are() -> None:
    keys = {f"model.key{index}": [0, 1] for index in range(8)}
    report = made_report(sweep_of(keys, (0,)))
    assert len(list(draw_pictures(report))) <= MOST_PICTURES


def test_a_file_is_named_by_letters_that_every_file_system_takes() -> None:
    assert stem("by", "model/optimizer@x:lr") == "by_model_optimizer_x_lr"


# by a key


def test_the_metric_by_a_number_is_drawn_as_it_is() -> None:
    report = lr_sweep()
    accuracy, loss = drawn(report, "by_optimizer.lr").axes
    assert (accuracy.get_ylabel(), loss.get_ylabel()) == ("test/accuracy", "train/loss")
    assert accuracy.get_xlabel() == loss.get_xlabel() == "optimizer.lr"
    assert accuracy.get_xscale() == "log"
    rates = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]
    assert line(accuracy, "_mean") == (rates, means(report.settings, "test/accuracy"))
    assert line(loss, "_mean") == (rates, means(report.settings, "train/loss"))
    assert [label.get_text() for label in accuracy.get_xticklabels()] == [f"{rate:g}" for rate in rates]


def test_the_seeds_are_a_band_of_one_standard_deviation_and_single_dots() -> None:
    report = lr_sweep()
    accuracy, _ = drawn(report, "by_optimizer.lr").axes
    first = report.settings[0].figures["test/accuracy"]
    assert line(accuracy, "_singles") == ([1e-4] * 3, list(first.values))
    corners = accuracy.collections[0].get_paths()[0].vertices
    at_first = [y for x, y in np.asarray(corners) if x == 1e-4]
    assert min(at_first) == pytest.approx(first.mean - np.std(first.values, ddof=1))
    assert max(at_first) == pytest.approx(first.mean + np.std(first.values, ddof=1))
    assert "over seeds" in accuracy.get_title("left")


def test_the_other_key_is_a_line_each() -> None:
    report = grid_sweep()
    figure = drawn(report, "by_optimizer.lr")
    assert legend_of(figure) == ["hidden=[64]", "hidden=[128]", "hidden=[512]", "hidden=[512, 512]"]
    xs, ys = line(figure.axes[0], "hidden=[64]")
    assert xs == [1e-3, 3e-3, 1e-2]
    assert ys == means([s for s in report.settings if s.values["model.hidden"] == "[64]"], "test/accuracy")
    assert "lr=0.003, hidden=[512, 512]" in said_of(report, "optimizer.lr", "test/accuracy")


def test_beyond_eight_lines_it_is_their_mean_and_says_so() -> None:
    report = wide_sweep()
    ax = drawn(report, "by_optimizer.lr").axes[0]
    at_first = means([s for s in report.settings if s.values["optimizer.lr"] == 1e-3], "test/accuracy")
    assert len(at_first) == 12
    assert line(ax, "_mean")[1][0] == pytest.approx(np.mean(at_first))
    assert "over the settings of optimizer.weight_decay, model.hidden" in ax.get_title("left").replace("\n", " ")


def test_a_zero_among_values_in_ratio_has_its_place() -> None:
    ax = drawn(wide_sweep(), "by_optimizer.weight_decay").axes[0]
    assert line(ax, "_mean")[0] == [0, 1, 2]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "0.0001", "0.01"]


def test_keys_that_changed_together_are_told_once() -> None:
    settings = [
        made_setting({"epochs": epochs, "optimizer.lr": rate}, [made_run({"epochs": epochs, "optimizer.lr": rate})])
        for epochs, rate in ((10, 0.5), (40, 0.1), (90, 0.01))
    ]
    report = made_report(settings)
    assert [name for name, _ in draw_pictures(report) if name.startswith("by")] == ["by_epochs"]
    ax = drawn(report, "by_epochs").axes[0]
    assert line(ax, "_mean") == ([10, 40, 90], means(settings, "test/accuracy"))
    assert ax.get_title("left") == "changed along with it: optimizer.lr"


@pytest.mark.parametrize(
    ("values", "log"),
    [
        ([1e-4, 1e-2], True),
        ([32, 64, 128], True),
        ([1, 2, 3], False),
        ([10, 20], False),
        ([0, 1, 100], False),
        ([-1, 50], False),
    ],
)
def test_a_log_axis_is_for_values_in_ratio(values: list[float], log: bool) -> None:
    assert in_ratio(values) is log
    assert Places(values).log is log


def test_settings_without_a_figure_are_named() -> None:
    ax = drawn(failing_sweep(), "by_optimizer.lr").axes[0]
    assert line(ax, "_mean")[0] == [0.01, 0.1]
    assert ax.get_title("left").endswith("without a finite figure: lr=1.0, lr=10.0")
    assert ax.get_xlim()[1] > 10  # their place stays free


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_figure_that_is_none_is_left_out(value: float) -> None:
    report = lr_sweep()
    settings = [with_figure(report.settings[0], "test/accuracy", value), *report.settings[1:]]
    report = replace(report, settings=settings)
    for _, figure in draw_pictures(report):
        for ax in figure.axes:
            assert all(map(math.isfinite, (*ax.get_xlim(), *ax.get_ylim())))
    assert line(drawn(report, "by_optimizer.lr").axes[0], "_mean")[0][0] == 3e-4


def test_a_loss_that_spans_decades_is_on_a_log_axis() -> None:
    report = lr_sweep()
    settings = [with_figure(report.settings[0], "train/loss", 1e6), *report.settings[1:]]
    accuracy, loss = drawn(replace(report, settings=settings), "by_optimizer.lr").axes
    assert (accuracy.get_yscale(), loss.get_yscale()) == ("linear", "log")


def test_names_are_rows_the_best_on_top() -> None:
    report = categorical_sweep()
    accuracy, loss = drawn(report, "by_model").axes
    names = [label.get_text() for label in accuracy.get_yticklabels()]
    assert names[:4] == ["convnet", "lenet5", "vgg16", "fc"]
    assert names[4].startswith("a_model_with")
    assert "…" in names[4]
    xs, ys = dots(accuracy, "_mean")
    placed = {int(y): x for x, y in zip(xs, ys, strict=True)}
    best = next(setting for setting in report.settings if setting.values["model"] == "convnet")
    assert placed[0] == best.figures["test/accuracy"].mean
    assert accuracy.get_ylim() == (4.5, -0.5)
    assert (accuracy.get_xlabel(), loss.get_xlabel(), accuracy.get_ylabel()) == ("test/accuracy", "train/loss", "model")
    assert accuracy.get_xlim()[0] > 0.7  # zoomed


def test_by_a_loss_the_smallest_is_on_top() -> None:
    report = replace(categorical_sweep(), metric="train/loss")
    (ax,) = drawn(report, "by_model").axes
    assert ax.get_yticklabels()[0].get_text() == "convnet"


# heat map


def test_a_heat_map_holds_each_setting_where_its_axes_say() -> None:
    report = grid_sweep()
    ax, bar = drawn(report, "heat_map").axes
    assert (ax.get_xlabel(), ax.get_ylabel(), bar.get_ylabel()) == ("model.hidden", "optimizer.lr", "test/accuracy")
    across, down = ([label.get_text() for label in labels] for labels in (ax.get_xticklabels(), ax.get_yticklabels()))
    assert (across, down) == (["[64]", "[128]", "[512]", "[512, 512]"], ["0.001", "0.003", "0.01"])
    cells: Any = ax.images[0].get_array()
    for setting in report.settings:
        y, x = down.index(f"{setting.values['optimizer.lr']:g}"), across.index(setting.values["model.hidden"])
        if setting.figures:
            assert cells[y, x] == setting.figures["test/accuracy"].mean
        else:
            assert cells.mask[y, x]
    texts = {text.get_position(): text.get_text() for text in ax.texts}
    assert texts[(3, 2)] == "failed"
    assert texts[(3, 1)] == "queued"
    first = report.settings[0].figures["test/accuracy"]
    assert texts[(0, 0)] == f"{first.mean:.4g}\n± {first.sd:.2g}"


def test_why_a_cell_is_empty() -> None:
    assert why_empty(None) == "no run"
    assert why_empty(made_setting({}, [made_run({})])) == "not finite"
    assert why_empty(made_setting({}, [made_run({}), made_run({}, seed=1, status="failed")])) == "failed"


# curves


def test_curves_are_the_metric_that_chooses_and_the_training_loss() -> None:
    report = lr_sweep()
    figure = drawn(report, "curves")
    assert [ax.get_ylabel() for ax in figure.axes] == ["val/accuracy", "train/loss"]
    assert [ax.get_xlabel() for ax in figure.axes] == ["epoch", "epoch"]
    run = report.settings[0].runs[0]
    assert line(figure.axes[0], "lr=0.0001") == (list(run.rows["epoch"]), list(run.rows["val/accuracy"]))
    widths = {line.get_linewidth() for line in figure.axes[0].lines if line.get_label() == "lr=0.003"}
    assert min(widths) > max(line.get_linewidth() for line in figure.axes[0].lines if line.get_label() != "lr=0.003")


def test_without_validation_the_test_curves_are_shown() -> None:
    assert curve_columns(study()) == ["test/accuracy", "train/loss"]
    assert curve_columns(all_failed()) == ["val/accuracy", "train/loss"]


def test_failed_runs_end_in_a_cross() -> None:
    figure = drawn(failing_sweep(), "curves")
    assert line(figure.axes[0], "failed or interrupted here")[0] == [3]
    assert legend_of(figure)[-1] == "failed or interrupted here"


def test_of_many_runs_some_are_drawn_and_the_best_always() -> None:
    report = made_report(sweep_of({"optimizer.lr": list(range(1, 101))}))
    assert report.best is not None
    picked = thinned(report, "val/accuracy")
    assert len(picked) == MOST_RUNS
    assert picked[-1] is report.best.runs[0]
    figure = drawn(report, "curves")
    assert "60 of 100 runs drawn" in figure.axes[0].get_title("left")
    assert len(figure.axes[0].lines) == MOST_RUNS
    assert legend_of(figure) == [f"{report.best.label}, chosen by val/accuracy", "other settings"]


def test_one_run_alone_has_one_curve() -> None:
    figure = drawn(one_run(), "curves")
    assert [len(ax.lines) for ax in figure.axes] == [1, 1]


# against seconds


def test_settings_stand_where_time_and_metric_put_them() -> None:
    report = lr_sweep()
    (ax,) = drawn(report, "metric_against_seconds").axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("seconds of training", "test/accuracy")
    placed = [(float(c[0].get_xdata()[0]), float(c[0].get_ydata()[0])) for c in ax.containers]  # type: ignore[attr-defined]
    assert placed == list(zip(means(report.settings, "seconds"), means(report.settings, "test/accuracy"), strict=True))
    assert sorted(text.get_text() for text in ax.texts) == sorted(setting.label for setting in report.settings)


# studies


def test_a_table_of_numbers_is_two_lines() -> None:
    report = study()
    loss, accuracy = drawn(report, "table_learning_rate").axes
    rows = [row for row in report.rows if row.table == "learning_rate"]
    rates = [float(row.label) for row in rows]
    assert line(accuracy, "reported") == (rates, [row.reported["test/accuracy"] for row in rows])
    assert dots(loss, "measured") == (rates, [row.setting.figures["train/loss"].mean for row in rows if row.setting])
    assert (loss.get_xlabel(), loss.get_ylabel(), loss.get_xscale()) == ("optimizer.lr", "train/loss", "log")
    off = [float(row.label) for row in rows if row.verdicts["train/loss"] == "differs"]
    assert line(loss, "differs by more than is allowed")[0] == off


def test_a_table_of_names_is_pairs_of_dots() -> None:
    report = study()
    (ax,) = drawn(report, "table_activation").axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["sigmoid", "tanh", "relu", "leaky_relu"]
    assert line(ax, "reported") == ([0.91], [0])
    row = next(row for row in report.rows if row.label == "sigmoid")
    assert row.setting is not None
    assert dots(ax, "measured") == ([row.setting.figures["test/accuracy"].mean], [0])


def test_the_sources_curves_stand_beside_ours() -> None:
    report = study()
    loss, _ = drawn(report, "curves_learning_rate").axes
    row = next(row for row in report.rows if row.curves)
    assert row.setting is not None
    assert line(loss, "reported") == (list(range(1, 11)), row.curves["train/loss"])
    assert line(loss, "measured, each run")[1] == list(row.setting.runs[0].rows["train/loss"])
    assert loss.get_title("left") == "0.001"


# all of them


def visible_texts(figure: Figure) -> Iterator[Text]:
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            labels = [tick.label1 for tick in axis.get_major_ticks()]
            low, high = sorted(axis.get_view_interval())
            at = [tick.get_loc() for tick in axis.get_major_ticks()]
            yield from (text for text, loc in zip(labels, at, strict=True) if low <= loc <= high and text.get_text())
            yield axis.get_label()
        yield from ax.texts


@pytest.mark.parametrize("name", REPORTS)
def test_no_text_overlaps_another_or_leaves_the_picture(name: str) -> None:
    for picture, figure in draw_pictures(REPORTS[name]()):
        figure.draw_without_rendering()
        texts = [text for text in visible_texts(figure) if text.get_text() and text.get_visible()]
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
        for index, (text, box) in enumerate(boxes):
            assert box.x0 >= -1, (picture, text)
            assert box.x1 <= figure.bbox.x1 + 1, (picture, text)
            for other, other_box in boxes[:index]:
                assert not box.padded(-1).overlaps(other_box), (picture, text, other)
        for legend in figure.legends:
            extent = legend.get_window_extent()
            assert extent.x0 >= -1, picture
            assert extent.x1 <= figure.bbox.x1 + 1, picture


def test_the_words_of_what_is_better() -> None:
    assert all(map(smaller_is_better, ("train/loss", "test/mse", "seconds")))
    assert not any(map(smaller_is_better, ("test/accuracy", "val/psnr")))
