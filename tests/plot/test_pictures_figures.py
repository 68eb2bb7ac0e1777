"""What can be said of the newer pictures without eyes."""

import json
from pathlib import Path
from typing import Any

import made_up_pictures as made_up
import numpy as np
import pytest
from made_up_pictures import Arrays
from made_up_runs import write_csv, write_run
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from dlhw.plot.class_colours import PALETTE, class_colours
from dlhw.plot.run import PLOTS
from dlhw.plot.run_folder import RunFolder, read_run
from dlhw.plot.segmentation import mean_iou


def figure_of(plot: str, arrays: Arrays, **results: Any) -> Figure:
    figure = PLOTS[plot](RunFolder("run", {}, {}, arrays, {"best_epoch": 3} | results))
    assert figure is not None
    return figure


def texts(figure: Figure) -> list[str]:
    found = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_text())
    return [artist.get_text() for artist in found if isinstance(artist, Text)]


def pictures(figure: Figure) -> list[Any]:
    return [np.asarray(image.get_array()) for image in figure.axes[0].images]


def curve(ax: Axes, label: str) -> Any:
    return np.asarray(next(line for line in ax.lines if line.get_label() == label).get_data(), float)


def labels(ax: Axes) -> list[str]:
    return [str(line.get_label()) for line in ax.lines]


# the first layer


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_grey_filters_share_a_scale_about_zero_where_they_are_alike(channels: int) -> None:
    arrays = made_up.first_layer((6, channels, 5, 5), grown=1)
    figure = figure_of("first_layer", arrays)
    before, after = figure.axes[0].images
    (low, high), (other_low, other_high) = before.get_clim(), after.get_clim()
    assert low == -high == other_low == -other_high
    first = np.asarray(after.get_array())[:110:22, :110:22]
    assert np.allclose(first, arrays["first_layer_after"].mean(1)[0])
    assert ("mean of" in " ".join(texts(figure))) == (channels > 1)


def test_filters_that_grew_get_a_scale_of_their_own() -> None:
    before, after = figure_of("first_layer", made_up.first_layer(grown=50)).axes[0].images
    assert after.get_clim()[1] > 3 * before.get_clim()[1]


def test_in_colour_each_filter_fills_its_scale_and_zero_is_grey() -> None:
    arrays = made_up.first_layer((4, 3, 5, 5))
    arrays["first_layer_before"][1] = 0
    before, _ = pictures(figure_of("first_layer", arrays))
    assert before.shape[2] == 3
    zeros = (before == 0.5).all(axis=2)
    repeat = 110 // 5
    assert zeros.sum() >= (5 * repeat) ** 2
    assert np.abs(before[: 5 * repeat, : 5 * repeat] - 0.5).max() == pytest.approx(0.5)


@pytest.mark.parametrize(("count", "said"), [(1, "1 filter of"), (30, "30 filters of"), (100, "first 64 of 100")])
def test_at_most_64_filters(count: int, said: str) -> None:
    assert any(said in text for text in texts(figure_of("first_layer", made_up.first_layer((count, 1, 3, 3)))))


def test_weights_that_are_not_finite_are_counted() -> None:
    arrays = made_up.first_layer()
    arrays["first_layer_after"][0, 0, 0, :3] = np.nan
    assert any("3 weights are not finite" in text for text in texts(figure_of("first_layer", arrays)))


def test_the_image_then_each_output_on_its_own_scale() -> None:
    arrays = made_up.filter_outputs(5)
    arrays["filter_outputs"][2] = 0.25
    figure = figure_of("filter_outputs", arrays)
    image, *outputs = figure.axes[0].images
    assert np.array_equal(np.asarray(image.get_array()), arrays["filter_image"][0])
    assert len(outputs) == 5
    for output, given in zip(outputs, arrays["filter_outputs"], strict=True):
        assert output.get_clim() == (given.min(), given.max() if given.max() > given.min() else given.min() + 1)
    assert "0.25 throughout" in texts(figure)


# activations


def test_activations_of_deep_nets_are_chosen_evenly() -> None:
    figure = figure_of("activations", made_up.activations(50))
    shown = [ax.get_title("left") for ax in figure.axes]
    assert len(shown) == 16
    assert (shown[0], shown[-1]) == ("layers.0.relu", "layers.49.relu")
    assert any("16 of 50 layers" in text for text in texts(figure))


def test_a_dead_relu_does_not_hide_the_living() -> None:
    edges = np.linspace(0, 2, 21)[None]
    counts = np.array([[900, *[5] * 20][:20]])
    arrays = {
        "activation_names": np.array(["relu"]),
        "activation_edges_after": edges,
        "activation_counts_after": counts,
    }
    (ax,) = figure_of("activations", arrays).axes
    share = 900 / counts.sum()
    assert [text.get_text() for text in ax.texts] == [f"↑ {share:.0%}"]


def test_both_moments_are_drawn_over_one_range() -> None:
    arrays = made_up.activations(2)
    for layer, ax in enumerate(figure_of("activations", arrays).axes):
        edges = [arrays[f"activation_edges_{moment}"][layer] for moment in ("before", "after")]
        assert ax.get_xlim() == (min(e[0] for e in edges), max(e[-1] for e in edges))
        assert ax.get_legend_handles_labels()[1] == ["at the start", "at the end"]


# segmentation


def test_mean_iou_of_an_image() -> None:
    mask = np.array([[0, 0, 1, 255]])
    assert mean_iou(mask, np.array([[0, 1, 1, 2]]), 5) == pytest.approx(0.5)  # 1/2 for class 0, 1/2 for class 1
    assert mean_iou(mask, np.array([[0, 0, 1, 0]]), 5) == 1.0
    assert np.isnan(mean_iou(np.full((1, 4), 255), np.zeros((1, 4), int), 5))


@pytest.mark.parametrize("channels", [1, 3, 2])
def test_rows_hold_input_truth_prediction_overlay_and_wrong_pixels(channels: int) -> None:
    arrays = made_up.segmentation(2, 32, channels)
    shown = pictures(figure_of("segmentation", arrays))
    assert len(shown) == 2 * 5
    colours = class_colours(list(made_up.DIGITS))
    image, truth, pred, over, wrong = shown[:5]
    given = arrays["sample_images"][0] / 255
    expected = given.transpose(1, 2, 0) if channels == 3 else np.repeat(given.mean(0)[..., None], 3, 2)
    assert np.allclose(image, expected)
    assert np.allclose(truth, colours[arrays["sample_masks"][0]])
    assert np.allclose(pred, colours[arrays["sample_mask_preds"][0]])
    background = arrays["sample_mask_preds"][0] == 0
    assert np.allclose(over[background], expected.mean(2)[background][:, None])
    vermilion = np.allclose(wrong, wrong[..., :1])
    assert vermilion == bool((arrays["sample_masks"][0] == arrays["sample_mask_preds"][0]).all())


def test_the_legend_names_the_classes_present_and_each_row_its_iou() -> None:
    arrays = made_up.segmentation(2)
    masks, preds = (arrays[key].astype(int) for key in ("sample_masks", "sample_mask_preds"))
    said = texts(figure := figure_of("segmentation", arrays))
    for mask, pred in zip(masks, preds, strict=True):
        assert any(f"IoU {100 * mean_iou(mask, pred, 11):.1f}%" in text for text in said)
    present = np.union1d(masks, preds)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [made_up.DIGITS[index] for index in present]


def test_colours_differ_and_background_is_grey() -> None:
    colours = class_colours([*map(str, range(2 * len(PALETTE))), "background"])
    assert len(np.unique(colours.round(4), axis=0)) == len(colours)
    assert np.ptp(colours[-1]) == 0
    assert class_colours([]).shape == (0, 3)


def test_iou_bars_leave_absent_classes_out_of_the_mean() -> None:
    arrays = {"iou": np.array([0.9, np.nan, 0.5]), "classes": np.array(["a", "b", "c"])}
    (ax,) = figure_of("iou", arrays).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "c", "b"]
    assert [text.get_text() for text in ax.texts] == ["90.0%", "50.0%", "in no image"]
    assert ax.lines[0].get_xdata()[0] == pytest.approx(70)  # type: ignore[index]
    assert "70.00%" in ax.get_title("left")


def test_a_confusion_matrix_of_pixels_says_so() -> None:
    arrays = made_up.segmentation(1)
    assert "pixels right" in figure_of("confusion_matrix", arrays).axes[0].get_title("left")
    assert "pixels" in figure_of("per_class_accuracy", arrays).axes[0].get_xlabel()
    del arrays["iou"], arrays["sample_masks"]
    assert "pixels" not in " ".join(texts(figure_of("confusion_matrix", arrays)))


# restoration


def test_triplets_are_clipped_and_carry_their_psnr() -> None:
    arrays = made_up.restoration(2)
    arrays["sample_psnr_restored"][1] = np.inf
    figure = figure_of("restoration", arrays)
    shown = pictures(figure)
    assert len(shown) == 6
    for picture, key in zip(shown, 2 * ["sample_noisy", "sample_restored", "sample_clean"], strict=True):
        assert any(np.allclose(picture, np.clip(image[0], 0, 1)) for image in arrays[key])
    said = texts(figure)
    assert f"{arrays['sample_psnr_noisy'][0]:.1f} dB" in said
    assert f"{arrays['sample_psnr_restored'][0]:.1f} dB" in said
    assert "∞ dB" in said


# sequences


def test_a_sequence_and_its_errors() -> None:
    arrays = made_up.sequence()
    above, below = figure_of("sequence", arrays).axes
    assert labels(above) == [
        "truth, without its noise",
        "truth",
        "one-step prediction",
        "free-running continuation",
        "the continuation begins",
    ]
    assert np.array_equal(curve(above, "truth")[1], arrays["sequence_truth"])
    assert np.isnan(curve(above, "free-running continuation")[1][:180]).all()
    assert curve(above, "the continuation begins")[0][0] == 180
    errors = np.abs(arrays["sequence_one_step"] - arrays["sequence_truth"])
    assert np.array_equal(np.asarray(below.lines[0].get_ydata()), errors, equal_nan=True)
    assert f"one-step prediction {np.sqrt(np.nanmean(errors**2)):.3g}" in below.get_title("left")
    assert above.get_xlim() == below.get_xlim()


def test_of_a_long_sequence_what_lies_about_the_start_of_the_continuation() -> None:
    above, _ = figure_of("sequence", made_up.sequence(3000, 2000)).axes
    low, high = above.get_xlim()
    assert low < 2000 < high
    assert high - low == 400
    assert "steps 1880 to 2279 of 3000" in above.get_title("left")


def test_a_continuation_that_runs_away_does_not_squeeze_the_truth() -> None:
    above, below = figure_of("sequence", made_up.sequence(drift=-0.1)).axes
    low, high = above.get_ylim()
    assert high - low < 10
    assert below.get_yscale() == "log"


# decision surface


def test_points_carry_target_and_output() -> None:
    arrays = made_up.xor_surface()
    ax, _ = figure_of("decision_surface", arrays).axes
    said = [text.get_text() for text in ax.texts]
    outputs = arrays["point_outputs"]
    assert said == [
        f"target {target}\n✓ output {output:.3f}" for target, output in zip((0, 1, 1, 0), outputs, strict=True)
    ]
    assert "4 of 4 points right" in ax.get_title("left")
    (image,) = ax.images
    assert image.origin == "lower"
    assert np.allclose(np.asarray(image.get_array()), arrays["surface_values"])
    assert image.get_extent() == pytest.approx([-0.51, 1.51, -0.51, 1.51])
    assert len(ax.collections) == 1, "the line at a half"


def test_a_net_that_did_not_learn_has_no_line_and_nothing_right() -> None:
    ax, _ = figure_of("decision_surface", made_up.xor_surface(learned=False)).axes
    assert not ax.collections
    assert "0 of 4 points right" in ax.get_title("left")
    assert all("✗" in text.get_text() for text in ax.texts)


@pytest.mark.parametrize(("first", "said"), [(3, "below 0.02: first at step 3"), (None, "below 0.02: never")])
def test_the_loss_of_each_step_stands_beside_the_surface(first: int | None, said: str) -> None:
    steps = {"step": np.arange(1.0, 5), "loss": np.array([1.0, 0.3, 0.01, 0.002])}
    results = {"loss_below": {"loss": 0.02, "step": first}}
    figure = PLOTS["decision_surface"](RunFolder("run", {}, steps, made_up.xor_surface(), results))
    assert figure is not None
    trace = figure.axes[1]
    assert trace.get_yscale() == "log"
    assert trace.get_title("left") == said
    x, y = np.asarray(trace.lines[0].get_data(), float)
    assert np.array_equal(x, steps["step"])
    assert np.array_equal(y, steps["loss"])


def test_classes_have_tints_and_wrong_points_a_ring() -> None:
    arrays = made_up.class_surface()
    (ax,) = figure_of("decision_surface", arrays).axes
    assert not ax.texts
    wrong = arrays["point_targets"] != arrays["point_outputs"]
    assert labels(ax) == ["target class 0", "target class 1", "target class 2", "wrong"]
    assert np.array_equal(curve(ax, "wrong").T, arrays["points"][wrong])
    tints = np.asarray(ax.images[0].get_array())
    assert len(np.unique(tints.reshape(-1, 3), axis=0)) == 3


# regression


@pytest.mark.parametrize(("count", "meshes"), [(300, 0), (5000, 1)])
def test_many_points_are_counted(count: int, meshes: int) -> None:
    arrays = made_up.regression(count)
    ax = figure_of("targets_and_outputs", arrays).axes[0]
    assert len(ax.collections) == meshes
    assert ("an example" in labels(ax)) == (not meshes)
    assert ax.get_xlim() == ax.get_ylim()
    x, y = curve(ax, "output = target")
    assert list(x) == list(y)
    errors = arrays["output_values"] - arrays["target_values"]
    assert f"MAE {np.abs(errors).mean():.4g}" in ax.get_title("left")


def test_whole_targets_say_how_many_outputs_round_to_them() -> None:
    arrays = made_up.regression(200, whole=True)
    arrays["output_values"][:2] = (np.nan, 1e6)
    rounded = np.clip(np.round(arrays["output_values"][1:]), 0, 9)
    said = figure_of("targets_and_outputs", arrays).axes[0].get_title("left")
    assert f"{(rounded == arrays['target_values'][1:]).mean():.2%} right when rounded" in said
    assert "1 not finite" in said


# curves


def loss_panel(folder: Path, **results: Any) -> Axes:
    write_run(folder)
    stored = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps(stored | results))
    figure = PLOTS["curves"](read_run(folder))
    assert figure is not None
    return figure.axes[0]


def test_the_step_that_got_below_a_loss_is_marked(tmp_path: Path) -> None:
    ax = loss_panel(tmp_path, loss_below={"loss": 0.5, "step": 100})
    _, y = curve(ax, "loss below 0.5, first at step 100")
    assert list(y) == [0.5, 0.5]
    marks = [np.asarray(line.get_xdata(), float)[0] for line in ax.lines if line.get_label() == "_loss below"]
    assert marks == [2.5, 2.5], "40 steps an epoch"


def test_a_loss_that_was_never_reached_is_in_sight(tmp_path: Path) -> None:
    ax = loss_panel(tmp_path, loss_below={"loss": 0.0001, "step": None})
    assert "loss below 0.0001: never" in labels(ax)
    assert ax.get_ylim()[0] < 0.0001
    assert ax.get_yscale() == "log"


@pytest.mark.parametrize("score", [None, "x", float("nan")])
def test_what_is_no_number_is_no_line(tmp_path: Path, score: Any) -> None:
    ax = loss_panel(tmp_path, loss_below={"loss": score, "step": 3}, baselines={"a": {"loss": score}, "b": score})
    assert not [label for label in labels(ax) if "below" in label or "baseline" in label]


@pytest.mark.parametrize("key", ["accuracy", "test/accuracy"])
def test_baselines_are_lines_where_they_fit_and_words_where_they_do_not(tmp_path: Path, key: str) -> None:
    accuracy = loss_panel(tmp_path, baselines={"near": {key: 0.5}, "majority_class": {key: 0.001}}).figure.axes[1]
    assert [text.get_text() for text in accuracy.texts] == ["near 50.00%"]
    assert labels(accuracy).count("_baseline") == 1
    assert accuracy.get_title("left").startswith("baseline off the axis: majority class 0.10%\nbest epoch 7")
    low, high = accuracy.get_ylim()
    assert low < 50 < high


def test_baselines_close_to_each_other_share_a_label(tmp_path: Path) -> None:
    scores = {"all_background": {"accuracy": 0.7}, "threshold": {"accuracy": 0.7001}}
    accuracy = loss_panel(tmp_path, baselines=scores).figure.axes[1]
    assert [text.get_text() for text in accuracy.texts] == ["all background 70.00%, threshold 70.01%"]


def test_every_tenth_of_four_thousand_epochs(tmp_path: Path) -> None:
    write_run(tmp_path, epochs=10)
    step = np.arange(1, 4001)
    loss = np.exp(-step / 1000)
    write_csv(tmp_path / "steps.csv", {"step": step, "epoch": step, "lr": loss, "loss": loss})
    rows = step[9::10]
    write_csv(
        tmp_path / "metrics.csv", {"epoch": rows, "step": rows, "train/loss": loss[9::10], "train/mse": loss[9::10]}
    )
    figure = PLOTS["curves"](read_run(tmp_path))
    assert figure is not None
    assert [ax.get_ylabel() for ax in figure.axes] == ["Loss", "MSE"]
    assert len(curve(figure.axes[0], "train")[0]) == 400
    x, y = curve(figure.axes[0], "train, each step")
    assert np.allclose(y, np.exp(-x / 1000))
