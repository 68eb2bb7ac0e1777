"""The page as text: whole, escaped, self-contained, of a bounded size."""

import base64
import io
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from made_up_report import REPORTS, all_failed, failing_sweep, lr_sweep, made_run, made_setting, one_run, study

from dlhw.report.contents import Report
from dlhw.report.page import answer, facts, page, thinned
from dlhw.report.page_images import A_RUN, embed_run, embed_runs, plots_of, smaller

VOID = {"meta", "img", "br", "wbr"}


class Reader(HTMLParser):
    """Tags with their attributes; raises where one is closed that is not the last open one."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def png(width: int = 60, height: int = 40, noise: bool = False) -> bytes:
    pixels = np.full((height, width, 3), 255, np.uint8)
    if noise:
        pixels[5:, 5:] = np.random.default_rng(0).integers(256, size=(height - 5, width - 5, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG", dpi=(150, 150))
    return buffer.getvalue()


def made(report: Report) -> str:
    return page(report, {"curves": png()}, {"summary.csv": "a,b\n1,<2>\n", "summary.tex": "\\alpha"})


@pytest.mark.parametrize("name", REPORTS)
def test_it_parses_and_every_tag_is_closed(name: str) -> None:
    html = made(REPORTS[name]())
    reader = Reader(html)
    assert html.startswith("<!DOCTYPE html>")
    assert reader.open == []
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {str(a["href"])[1:] for a in reader.all("a") if str(a["href"]).startswith("#")}
    assert targets <= set(ids)


@pytest.mark.parametrize("name", REPORTS)
def test_it_needs_nothing_beside_it(name: str) -> None:
    reader = Reader(made(REPORTS[name]()))
    sources = [a[key] or "" for _, a in reader.tags for key in ("src", "href", "srcset", "action", "data") if key in a]
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert not reader.all("link") + reader.all("iframe")
    assert not any(key.startswith("on") or key == "style" for _, a in reader.tags for key in a)
    policy = next(a["content"] or "" for a in reader.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_a_traceback_is_text_and_no_markup() -> None:
    html = made(failing_sweep())
    reader = Reader(html)
    assert len(reader.all("script")) == 1
    assert "<b>" not in html
    assert '<script>document.title = "attacked"</script> & "quoted"' in "".join(reader.words)


def test_everything_from_files_is_escaped() -> None:
    evil = '"><script>alert(1)</script>&'
    run = replace(made_run({"model": evil}), error=evil, traceback=evil, status="failed", label=evil)
    report = replace(
        study(), title=evil, question=evil, runs=[run], settings=[made_setting({evil: evil}, [run])], commands=[evil],
        notes=[evil], environment={evil: evil}, keys=[evil],
    )  # fmt: skip
    html = page(report, {"curves": png()}, {"a.csv": evil})
    reader = Reader(html)
    assert len(reader.all("script")) == 1
    assert "".join(reader.words).count("alert(1)") >= 10


@pytest.mark.parametrize("name", REPORTS)
def test_every_run_has_its_place(name: str) -> None:
    report = REPORTS[name]()
    reader = Reader(made(report))
    ids = [a["id"] for a in reader.all("details") if "id" in a]
    assert ids == [f"run-{number}" for number in range(1, len(report.runs) + 1)]
    words = "".join(reader.words)
    assert all(run.label in words for run in report.runs)


def test_the_files_can_be_taken_from_it() -> None:
    links = {a["download"]: str(a["href"]) for a in Reader(made(lr_sweep())).all("a") if "download" in a}
    assert set(links) == {"summary.csv", "summary.tex"}
    head, _, data = links["summary.csv"].partition(",")
    assert head == "data:text/csv;charset=utf-8;base64"
    assert base64.b64decode(data) == b"a,b\n1,<2>\n"


def test_what_was_swept_in_words() -> None:
    told = facts(failing_sweep())
    assert told["optimizer.lr"] == "0.01, 0.1, 1.0, 10.0"
    assert told["runs"] == "8 runs of 4 settings: 3 finished, 2 failed, 1 interrupted, 1 queued, 1 running"
    assert told["seeds"] == "0, 1"


def test_the_answer() -> None:
    assert answer(lr_sweep())[0].startswith("Best by val/accuracy: lr=0.003 (val/accuracy 0.")
    assert answer(all_failed()) == ["No run has finished, so there is nothing to choose from."]
    unchosen = answer(replace(lr_sweep(), best=None, chosen_by=None))
    assert unchosen == ["No setting was chosen: the runs have no validation split, and the test split chooses nothing."]
    assert answer(one_run())[0].startswith("test/accuracy 0.")
    assert answer(study())[1] == "Claims: 1 holds, 1 within seed noise, 1 does not hold, 1 not judged."


def test_a_study_shows_each_row_beside_its_source() -> None:
    words = "".join(Reader(made(study())).words)
    for row in study().rows:
        assert row.label in words
    assert "the source says 'ReLU' & gives no slope" in words
    assert "needs a CUDA device" in words


def test_cells_are_sorted_by_full_precision() -> None:
    report = lr_sweep()
    cells = [a["data-sort"] for a in Reader(made(report)).all("td") if "data-sort" in a]
    first = report.settings[0]
    assert cells[0] == "0.0001"
    assert repr(first.figures["test/accuracy"].mean) in cells


@pytest.mark.parametrize(("epochs", "rows"), [(1, 1), (30, 30), (31, 30), (1000, 30)])
def test_rows_are_thinned_evenly_and_keep_the_ends(epochs: int, rows: int) -> None:
    told = [row["epoch"] for row in thinned(made_run({}, epochs=epochs))]
    assert len(told) == rows
    assert (told[0], told[-1]) == (1, epochs)
    assert max(np.diff(told), default=0) - min(np.diff(told), default=0) <= 1


def test_a_run_without_rows_has_none_to_show() -> None:
    assert thinned(made_run({}, status="queued")) == []


# the plots of runs


def write_plots(folder: Path, **plots: bytes) -> None:
    (folder / "plots").mkdir(parents=True)
    for name, content in plots.items():
        (folder / "plots" / f"{name}.png").write_bytes(content)


def test_plots_that_fit_stand_as_they_are_in_the_order_of_the_run(tmp_path: Path) -> None:
    run = one_run(tmp_path).runs[0]
    write_plots(run.folder, confusion_matrix=png(), curves=png(50, 30), my_own=png())
    assert [path.stem for path in plots_of(run.folder)] == ["curves", "confusion_matrix", "my_own"]
    images = embed_run(run, A_RUN)
    assert [image.name for image in images.shown] == ["curves", "confusion_matrix", "my_own"]
    assert images.shown[0].uri == f"data:image/png;base64,{base64.b64encode(png(50, 30)).decode()}"
    assert (images.shown[0].width, images.shown[0].height) == (32, 19)  # 150 dots an inch, shown at 96
    assert images.left_out == []
    html = made(one_run(tmp_path))
    assert html.count("<img") == 1 + 3


def test_plots_that_do_not_fit_shrink_or_are_named(tmp_path: Path) -> None:
    run = one_run(tmp_path).runs[0]
    write_plots(run.folder, curves=png(1200, 600), confusion_matrix=png(900, 700, noise=True), mistakes=b"no picture")
    images = embed_run(run, 100_000)
    assert [image.name for image in images.shown] == ["curves"]
    assert images.left_out == ["confusion_matrix.png", "mistakes.png"]
    assert images.shown[0].width == 768  # as wide on the page as before
    words = "".join(Reader(made(one_run(tmp_path))).words)
    assert "mistakes.png" in words
    assert f"{run.folder.relative_to(tmp_path) if run.folder.is_relative_to(tmp_path) else run.folder}" in words


def test_a_smaller_picture_is_narrower_and_its_paper_stays_white() -> None:
    with PIL.Image.open(io.BytesIO(smaller(png(1800, 300, noise=True)))) as picture:
        assert picture.size == (900, 150)
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_many_runs_share_the_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlhw.report.page_images.ALL_RUNS", 60_000)
    monkeypatch.setattr("dlhw.report.page_images.FEW_RUNS", 10_000)
    report = lr_sweep(tmp_path)
    for run in report.runs:
        write_plots(run.folder, curves=png(60, 10, noise=True), confusion_matrix=png(200, 60, noise=True))
    images = embed_runs(report.runs)
    sizes = [sum(len(image.uri) for image in images[id(run)].shown) for run in report.runs]
    assert sum(sizes) <= 60_000 + 40 * len(sizes)
    assert all(size <= 60_000 // 18 + 40 for size in sizes)
    assert [image.name for image in images[id(report.runs[0])].shown] == ["curves"]
