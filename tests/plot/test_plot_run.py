"""Which pictures come from which folder, and that nothing around them is touched."""

import ast
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import matplotlib.image
import matplotlib.style
import numpy as np
import pytest
from made_up_runs import change_arrays, write_run

import dlhw.plot
from dlhw.plot.png import write_png
from dlhw.plot.run import draw_all, plot_run
from dlhw.plot.run_folder import read_run
from dlhw.plot.style import new_figure

PLOTS = ("curves", "learning_rate", "confusion_matrix", "per_class_accuracy", "predictions", "mistakes")
BASIC = ("curves", "confusion_matrix")


def names(files: list[Path]) -> set[str]:
    return {file.stem for file in files}


def test_a_whole_folder_gives_every_plot(run_folder: Path) -> None:
    files = plot_run(run_folder)
    assert [file.stem for file in files] == list(PLOTS)
    assert set((run_folder / "plots").iterdir()) == set(files)
    for file in files:
        height, width, _ = matplotlib.image.imread(file).shape
        assert min(height, width) > 300, file
        assert file.stat().st_mode & 0o044, "others may read it"


@pytest.mark.parametrize(("which", "expected"), [("basic", set(BASIC)), ("none", set())])
def test_which(run_folder: Path, which: str, expected: set[str]) -> None:
    assert names(plot_run(run_folder, which)) == expected  # type: ignore[arg-type]
    assert (run_folder / "plots").exists() == bool(expected)


def test_an_empty_folder_gives_nothing(tmp_path: Path) -> None:
    assert plot_run(tmp_path) == []


@pytest.mark.parametrize(
    ("missing", "plots"),
    [
        ("metrics.csv", {"curves"}),
        ("steps.csv", set()),
        ("arrays.npz", {"confusion_matrix", "per_class_accuracy", "predictions", "mistakes"}),
        ("results.json", set()),
    ],
)
def test_a_missing_file_costs_its_own_plots_only(run_folder: Path, missing: str, plots: set[str]) -> None:
    (run_folder / missing).unlink()
    assert names(plot_run(run_folder)) == set(PLOTS) - plots


def test_an_interrupted_first_epoch_still_shows_its_learning_rate(run_folder: Path) -> None:
    (run_folder / "metrics.csv").write_text("epoch,step,lr,train/loss\n")
    for missing in ("arrays.npz", "results.json"):
        (run_folder / missing).unlink()
    assert names(plot_run(run_folder)) == {"learning_rate"}


@pytest.mark.parametrize(
    ("table", "cut"), [("metrics.csv", 3), ("metrics.csv", 60), ("steps.csv", 12), ("steps.csv", 25)]
)
def test_a_last_line_cut_short_is_no_obstacle(run_folder: Path, table: str, cut: int) -> None:
    path = run_folder / table
    path.write_bytes(path.read_bytes()[:-cut])
    assert names(plot_run(run_folder)) == set(PLOTS)


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 1, "classes": ("only",)},
        {"epochs": 100, "steps_per_epoch": 1, "image_shape": (1, 8, 8)},
        {"splits": ("train",), "classes": ("$", "$x_1$", "$\\frac{", "_a_^{b}")},
        {"splits": ("train", "val", "test"), "classes": tuple(f"class {i}" for i in range(130))},
        {"metrics": ("loss",), "image_shape": (3, 32, 32)},
        {"metrics": ("loss", "miou", "psnr", "strange_metric_", "f1"), "image_shape": (3, 20, 200)},
        {
            "classes": ("a very long name of a class, as people give them to folders " * 2, "b"),
            "image_shape": (2, 5, 5),
        },
        {"classes": tuple(f"class {i}" for i in range(20)), "name": "$\\alpha_{ $ a_b " + "and so on " * 30},
        {"classes": ("고양이", "개", "\U0001f600")},
    ],
    ids=str,
)
def test_unusual_runs_draw_without_a_warning(tmp_path: Path, change: dict[str, object]) -> None:
    folder = write_run(tmp_path, **change)  # type: ignore[arg-type]
    assert names(plot_run(folder)) == set(PLOTS)


def test_no_mistakes_no_mistakes_plot(tmp_path: Path) -> None:
    assert names(plot_run(write_run(tmp_path, num_mistakes=0))) == set(PLOTS) - {"mistakes"}


def test_masks_and_values_are_not_taken_for_classes(run_folder: Path) -> None:
    change_arrays(run_folder, sample_preds=np.zeros((16, 28, 28), np.int64), mistake_targets=None, confusion=None)
    assert names(plot_run(run_folder)) == {"curves", "learning_rate"}


def test_drawing_again_replaces(run_folder: Path) -> None:
    first = plot_run(run_folder)
    pixels = [file.read_bytes() for file in first]
    assert [file.read_bytes() for file in plot_run(run_folder)] == pixels
    assert len(list((run_folder / "plots").iterdir())) == len(first)


def test_a_figure_that_cannot_be_drawn_leaves_the_old_file(tmp_path: Path) -> None:
    path = write_png(new_figure(2, 2, "old", "run"), tmp_path / "a.png")
    before = path.read_bytes()
    broken = new_figure(2, 2, "new", "run")
    broken.text(0.5, 0.5, "$\\broken{$", parse_math=True)
    with pytest.raises(ValueError, match="broken"):
        write_png(broken, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_neither_a_theme_leaks_in_nor_ours_out(run_folder: Path) -> None:
    plain = [file.read_bytes() for file in plot_run(run_folder)]
    with matplotlib.style.context("dark_background"):
        matplotlib.rcParams.update({"font.size": 30, "lines.marker": "x", "savefig.dpi": 40, "savefig.bbox": "tight"})
        before = dict(matplotlib.rcParams)
        themed = [file.read_bytes() for file in plot_run(run_folder)]
        assert dict(matplotlib.rcParams) == before
    assert [name for name, a, b in zip(PLOTS, plain, themed, strict=True) if a != b] == []


def test_threads(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / str(i)) for i in range(4)]
    expected = [file.read_bytes() for file in plot_run(folders[0])]
    with ThreadPoolExecutor(4) as pool:
        for files in pool.map(plot_run, folders):
            assert [file.read_bytes() for file in files] == expected


def test_the_annex_reads_files_only() -> None:
    """No other part of dlhw, no torch, no hydra, no pyplot: neither written in the source nor loaded."""
    for source in Path(dlhw.plot.__file__).parent.glob("*.py"):
        tree = ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        for module in [node.module or "" for node in tree if isinstance(node, ast.ImportFrom)]:
            foreign = module.startswith("dlhw") and not module.startswith(("dlhw.plot", "dlhw.files"))
            assert not foreign, (source.name, module)
    code = "import sys, dlhw.plot.run; print({'torch', 'hydra', 'matplotlib.pyplot'} & sys.modules.keys())"
    src = Path(dlhw.plot.__file__).parents[2]
    found = subprocess.run([sys.executable, "-c", code], cwd=src, capture_output=True, text=True, check=True).stdout
    assert found.strip() == "set()"


def test_a_hundred_thousand_steps_are_drawn_by_few_points(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path, epochs=100, steps_per_epoch=1000))
    assert len(run.steps["loss"]) == 100_000
    points = [len(line.get_xydata()) for _, figure in draw_all(run) for ax in figure.axes for line in ax.lines]
    assert 1000 < max(points) < 1500
