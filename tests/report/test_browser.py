"""The page as a browser has it: whole, quiet, sorted by a click, without sideways scrolling."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, browsing, chromium
from made_up_report import REPORTS, lr_sweep

from dlhw.report.contents import Report
from dlhw.report.page import page
from dlhw.report.write import drawn

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium or Chrome is on the path")
SHOWN = ("lr_sweep", "grid_sweep", "failing_sweep", "one_run", "study")


LOAD_ALL = "Promise.all([...document.images].map((image) => { image.loading = 'eager'; return image.decode(); }))"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("profile")) as one:
        yield one


def written(report: Report, folder: Path) -> str:
    path = folder / "report.html"
    path.write_text(page(report, drawn(report), {"summary.csv": "a,b\n"}), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("name", SHOWN)
def test_it_fits_any_window_and_asks_for_nothing(browser: Browser, tmp_path: Path, name: str) -> None:
    url = written(REPORTS[name](), tmp_path)
    for width in (390, 1440):
        browser.open(url, width, mobile=width < 400)
        browser.value("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
        browser.value(LOAD_ALL)
        assert browser.value("innerWidth") == width
        assert browser.value("document.documentElement.scrollWidth") <= width
        assert browser.value("[...document.images].every((image) => image.naturalWidth > 0)")
        assert browser.requests() == [url]
        assert browser.complaints() == []
        assert browser.value("document.title") == REPORTS[name]().title


ROWS = "[...document.querySelectorAll('table.sortable tbody tr')]"
COLUMN = ROWS + ".map((row) => row.cells[{}].textContent.replace('best', '').trim())"
HEADS = "[...document.querySelectorAll('table.sortable thead th')]"


def click(browser: Browser, column: int) -> list[str]:
    browser.value(f"{HEADS}[{column}].querySelector('button').click()")
    return list(browser.value(COLUMN.format(column)))


def test_a_click_on_a_heading_sorts_by_number(browser: Browser, tmp_path: Path) -> None:
    browser.open(written(REPORTS["failing_sweep"](), tmp_path), 1440)
    assert browser.value(f"{HEADS}.map((head) => head.textContent)")[:3] == ["optimizer.lr", "n", "test/accuracy"]
    assert click(browser, 0) == ["0.01", "0.1", "1.0", "10.0"]
    assert browser.value(f"{HEADS}[0].getAttribute('aria-sort')") == "ascending"
    assert click(browser, 0) == ["10.0", "1.0", "0.1", "0.01"]
    up, down = click(browser, 2), click(browser, 2)
    assert up[2:] == down[2:] == ["–", "–"]  # what is missing stays last
    assert float(up[0].split()[0]) < float(up[1].split()[0])
    assert down[:2] == up[1::-1]
    assert browser.value(f"{HEADS}.map((head) => head.getAttribute('aria-sort'))")[:3] == [None, None, "descending"]


def test_the_keyboard_sorts_too(browser: Browser, tmp_path: Path) -> None:
    browser.open(written(lr_sweep(), tmp_path), 1440)
    browser.value(f"{HEADS}[0].querySelector('button').focus()")
    for _ in range(2):
        for kind in ("keyDown", "keyUp"):
            browser.ask("Input.dispatchKeyEvent", type=kind, key="Enter", windowsVirtualKeyCode=13, text="\r")
    assert browser.value(COLUMN.format(0))[::5] == ["0.03", "0.0001"]


def test_a_link_unfolds_its_run(browser: Browser, tmp_path: Path) -> None:
    browser.open(written(lr_sweep(), tmp_path), 390, mobile=True)
    assert not browser.value("document.getElementById('run-2').open")
    browser.value("document.querySelector('a[href=\"#run-2\"]').click()")
    browser.value("new Promise((done) => setTimeout(done))")
    assert browser.value("document.getElementById('run-2').open")


@pytest.mark.parametrize(("dark", "light_paper"), [(False, True), (True, False)])
def test_it_follows_the_colour_scheme(browser: Browser, tmp_path: Path, dark: bool, light_paper: bool) -> None:
    browser.open(written(lr_sweep(), tmp_path), 1440, dark=dark)
    paper = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") is light_paper
    assert (
        browser.value("getComputedStyle(document.querySelector('figure img')).backgroundColor") == "rgb(255, 255, 255)"
    )


def test_on_paper_all_is_unfolded(browser: Browser, tmp_path: Path) -> None:
    browser.open(written(lr_sweep(), tmp_path), 1440)
    browser.value("dispatchEvent(new Event('beforeprint'))")
    assert browser.value("document.querySelectorAll('details:not([open])').length") == 0
    browser.value("dispatchEvent(new Event('afterprint'))")
    assert browser.value("document.querySelectorAll('details:not([open])').length") == 18
