"""Every benchmark runs, at its smallest, on images that it makes; its two files agree. How fast is asserted nowhere."""

import json
import logging
import os
import re
import runpy
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dlhw.config.compose import composed
from dlhw.config.shipped import hydra_session
from dlhw.process import cores

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
WITH_LIGHTNING = ROOT / ".venv-lightning" / "bin" / "python"
SMALLEST = {
    "training_loop": "--rounds 2 --nets mlp --no-compile",
    "evaluation": "--rounds 2 --nets mlp --images 2000",
    "large_nets": "--rounds 1 --nets vgg16 --batch 2 --threads 1",
    "lanes": "--rounds 2 --nets fc --lanes 2 --threads 1",
    "host_work": "--rounds 2 --lanes 1 2 --images 300",
    "numpy_conv": "--rounds 2 --sizes lenet5_conv2 lenet5_conv3 --batch 4",
    "sweep": "--rounds 1 --nets fc --rates 0.001 --epochs 1 --images 600",
}
SMALL_SCALING = "--images 200 400 --widths 8 16 --runs 1 2 --workers 1 --epochs 1"
ON_CUDA = ("training_loop", "evaluation", "large_nets", "sweep", "lanes")
Run = Callable[..., Path]


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules of benchmarks/, as its scripts find them."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # which one of them sets
        monkeypatch.setenv(name, os.environ.get(name, "1"))


@pytest.fixture
def script(importable: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs one in this process, elsewhere than in the checkout; the Markdown file that it was to write."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *arguments: str) -> Path:
        output = tmp_path / "results" / f"{name}.md"
        path = str(BENCHMARKS / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [path, *arguments, "--output", str(output)])
        runpy.run_path(path, run_name="__main__")
        return output

    yield run
    for logger in map(logging.getLogger, ("dlhw", "dlhw_sweep")):
        logger.handlers.clear()
        logger.propagate = True


def content(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(output.with_suffix(".json").read_text())
    return found


def table(text: str) -> list[dict[str, str]]:
    """The Markdown's table."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def check_files_agree(output: Path) -> None:
    """Cell by cell, as far as the Markdown's rounding goes."""
    written, rows = content(output), table(output.read_text())
    assert len(rows) == len(written["rows"]) > 0
    for row, cells in zip(written["rows"], rows, strict=True):
        for name, value in row.items():
            cell = cells[name]
            if isinstance(value, dict):
                low, middle, high = value["low"], value["median"], value["high"]
                found = [float(number) for number in re.findall(r"\d+\.\d\d", cell)]
                assert found == pytest.approx([middle, low, high], abs=0.0051)
                assert low <= middle <= high
            elif isinstance(value, int | float):
                assert float(cell.replace(",", "")) == pytest.approx(value, rel=0.006)
            else:
                assert cell == ("–" if value is None else value)
    for part in (written["title"], written["command"], written["machine"], str(written["commit"])):
        assert part in output.read_text()
    assert written["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert len(written["load"]) == 2


@pytest.mark.parametrize("name", SMALLEST)
def test_runs_and_leaves_two_files_that_agree(name: str, script: Run) -> None:
    arguments = SMALLEST[name].split()
    output = script(name, *arguments)
    check_files_agree(output)
    found = content(output)
    assert f"python benchmarks/{name}.py {SMALLEST[name]}" in found["command"]
    for row in found["rows"]:
        if "engine / homework" in row:
            measured = found["rounds"][row["net"]]
            ratios = [a / b for a, b in zip(measured["engine"], measured["homework"], strict=True)]
            assert len(ratios) == 2
            assert row["engine / homework"]["median"] == pytest.approx(statistics.median(ratios))


def test_scaling(script: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sweeps, whose like test_runs… has typed, are composed alone."""
    import sweep

    lines: list[list[str]] = []

    def commands(line: list[str], work: float) -> Callable[[], float]:
        lines.append(line)
        return lambda: work

    monkeypatch.setattr(sweep, "commands", commands)
    output = script("scaling", *SMALL_SCALING.split())
    check_files_agree(output)
    rows = content(output)["rows"]
    assert {row["axis"]: row["at"] for row in rows} == {"images": 400, "width": 16, "runs": 2, "workers": cores()}
    for axis, anchor in (("images", 400), ("width", 16), ("runs", 1), ("workers", 1)):
        (row,) = (row for row in rows if row["axis"] == axis and row["at"] == anchor)
        assert row["ideal"] == row["seconds"]
    smaller = next(row for row in rows if row["axis"] == "images")
    assert smaller["ideal"] == pytest.approx(rows[1]["seconds"] / 2)
    assert len(lines) == 3
    for line in lines:
        assert line[:2] == [sweep.DLHW, "-m"]
        with hydra_session():
            composed([word for word in line[2:] if not word.startswith("seed=")])


@pytest.mark.skipif(torch.cuda.is_available(), reason="says so where there is no CUDA device")
@pytest.mark.parametrize("name", ON_CUDA)
def test_without_cuda_a_line_says_so(
    name: str, script: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as end:
        script(name, "--device", "cuda")
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert re.fullmatch(rf"{name}: left out: .*CUDA.*\n", out)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ON_CUDA)
def test_on_cuda(name: str, script: Run) -> None:
    output = script(name, *SMALLEST[name].split(), "--device", "cuda")
    check_files_agree(output)
    if name == "training_loop":
        assert "engine / engine eager" in content(output)["rows"][0]


def test_without_lightning_a_line_says_so(
    script: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightning", None)  # as if it were not installed
    with pytest.raises(SystemExit) as end:
        script("lightning_loop")
    assert end.value.code == 0
    assert (
        capsys.readouterr().out == "lightning_loop: left out: Lightning is not installed here: make bench-lightning\n"
    )


@pytest.mark.slow
@pytest.mark.skipif(not WITH_LIGHTNING.exists(), reason="needs Lightning: make bench-lightning")
def test_lightning(tmp_path: Path) -> None:
    output = tmp_path / "lightning_loop.md"
    command = [str(WITH_LIGHTNING), str(BENCHMARKS / "lightning_loop.py"), "--rounds", "1", "--nets", "fc"]
    done = subprocess.run(
        [*command, "--output", str(output)], cwd=tmp_path, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    check_files_agree(output)


def test_plot_shows_what_there_is(
    importable: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing from nothing; from the figures of two parts a picture that names both."""
    import plot

    made = tmp_path / "images"
    monkeypatch.setattr(sys, "argv", ["plot.py", "--results", str(tmp_path / "none"), "--output", str(made)])
    plot.main()
    assert not made.exists()
    assert capsys.readouterr().out.count("no figures yet") == 2

    ratio = {"median": 2.0, "low": 1.5, "high": 3.0}
    write(tmp_path, "training_loop", {"net": "fc", "engine / homework": ratio, "wanted": 5.0, "engine / limit": ratio})
    write(tmp_path, "sweep_cuda", {"net": "fc", "sweep / homework": ratio, "wanted on 4 cores": None})
    both = [(axis, at) for axis in plot.AXES for at in (1, 2)]
    times = [{"axis": axis, "at": at, "seconds": at, "ideal": at, "ideal / measured": 1} for axis, at in both]
    write(tmp_path, "scaling", *times)
    labels = [(point.label, point.spread.median, point.wanted) for point in plot.points(tmp_path, plot.FASTER)]
    assert labels == [("training, fc: over the homework", 2.0, 5.0), ("sweep, fc: over the homework (GPU)", 2.0, None)]
    monkeypatch.setattr(sys, "argv", ["plot.py", "--results", str(tmp_path), "--output", str(made)])
    plot.main()
    for name in ("benchmarks.png", "scaling.png"):
        with Image.open(made / name) as image:
            assert len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) > 5


def write(folder: Path, part: str, *rows: dict[str, Any]) -> None:
    (folder / f"{part}.json").write_text(json.dumps({"machine": "made up", "rows": rows}))


def test_page_takes_in_the_latest_tables_and_nothing_else_changes(importable: None, tmp_path: Path) -> None:
    import page

    (tmp_path / "sweep.md").write_text("# A sweep\n\n    python\n\n| net |\n| --- |\n| fc |\n\nA note.\n\nA machine.\n")
    before = "First.\n<!-- sweep -->\nold\n<!-- /sweep -->\nThen.\n<!-- lanes -->\nold\n<!-- /lanes -->\nLast.\n"
    table = "\n| net |\n| --- |\n| fc |\n\nA machine.\n\n"
    after = page.filled(before, tmp_path)
    assert after == before.replace("<!-- sweep -->\nold\n", f"<!-- sweep -->\n{table}")
    assert page.filled(after, tmp_path) == after


def test_the_page_has_a_place_for_every_benchmark() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    places = set(re.findall(r"<!-- (\w+) -->\n", page))
    assert places == named_by_make() | {f"{name}_cuda" for name in named_by_make("GPU_BENCHMARKS")}
    for link in re.findall(r"\]\((?!https?://)([^)#]+)\)", page):
        assert (ROOT / "docs" / link).exists(), link


def test_speeds_count_each_variant_once_a_round_in_changing_order(importable: None) -> None:
    import measure

    calls: list[str] = []

    def chunk(name: str) -> Callable[[], float]:
        return lambda: calls.append(name) or 1.0

    found = measure.speeds({name: chunk(name) for name in "abc"}, rounds=20, warm_up=2)
    rounds = ["".join(calls[start : start + 3]) for start in range(0, len(calls), 3)]
    assert {name: len(values) for name, values in found.items()} == {"a": 20, "b": 20, "c": 20}
    assert [sorted(one) for one in rounds] == [["a", "b", "c"]] * 22
    assert len(set(rounds)) > 3


def test_spread_is_of_ratios_not_a_ratio_of_medians(importable: None) -> None:
    import measure

    assert str(measure.ratio([1, 20, 300], [1, 10, 100])) == "2.00 [1.50..2.50]"
    assert measure.spread([7.0]) == measure.Spread(7.0, 7.0, 7.0)


def test_made_up_files_are_what_both_sides_read(importable: None, tmp_path: Path) -> None:
    """dlhw's test split and the homework's loader give the same images, in the same order."""
    import experiments

    experiments.write_fashion(tmp_path, train=200, test=100)
    built = experiments.experiment(*experiments.NETS["fc"], *experiments.FASHION, f"data_dir={tmp_path}", "device=cpu")
    ((inputs, targets),) = experiments.loader(tmp_path, train=False)
    with built.opened("test") as test:
        ours, our_targets = next(iter(test.batches(100)))
    torch.testing.assert_close(ours, inputs)
    assert our_targets.tolist() == targets.tolist()
    assert len(set(targets.tolist())) == 10


def test_the_homework_script_and_the_engine_train_the_same_net(importable: None, tmp_path: Path) -> None:
    """As many parameters: what is compared is the same work."""
    import experiments

    experiments.write_fashion(tmp_path, train=200, test=100)
    source = (BENCHMARKS / "homework.py").read_text()
    for name, overrides in (("fc", experiments.NETS["fc"]), ("lenet5", experiments.NETS["lenet5"])):
        built = experiments.experiment(*overrides, *experiments.FASHION, f"data_dir={tmp_path}", "device=cpu")
        scope = runpy_homework(source, name, tmp_path)
        assert sum(p.numel() for p in scope["net"].parameters()) == built.parameters


def runpy_homework(source: str, net: str, data: Path) -> dict[str, Any]:
    """The script's names after no epoch."""
    before, sys.argv = sys.argv, ["homework.py", "--net", net, "--epochs", "0", "--data", str(data)]
    scope: dict[str, Any] = {"__name__": "homework"}
    try:
        exec(compile(source, "homework.py", "exec"), scope)
    finally:
        sys.argv = before
    return scope


def named_by_make(variable: str = "BENCHMARKS") -> set[str]:
    makefile = (ROOT / "Makefile").read_text()
    return set(re.search(rf"^{variable} := (.*)$", makefile, re.MULTILINE)[1].split())  # type: ignore[index]


def test_make_bench_names_every_benchmark() -> None:
    assert named_by_make() == {path.stem for path in BENCHMARKS.glob("*.py")} - {
        "measure",
        "experiments",
        "homework",
        "plot",
        "page",
    }
