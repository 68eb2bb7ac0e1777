"""`dlhw-report`, with pictures and page stubbed, and the files it leaves."""

import subprocess
import sys
from pathlib import Path

import pytest
from made_up_sweeps import write_run

from dlhw import report_cli
from dlhw.errors import UserError
from dlhw.report.write import write_report

FILES = ["plots/by_lr.png", "report.html", "summary.csv", "summary.md", "summary.tex"]


def files(folder):
    """Those of the report, not of the runs below."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if "seed=" not in name)


def refused(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        report_cli.main([str(word) for word in words])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("dlhw-report: ")
    assert error.count("\n") == 1
    return error


@pytest.mark.usefixtures("stubs")
def test_a_sweep_is_told_into_its_own_folder(sweep, capsys, monkeypatch):
    monkeypatch.chdir(sweep.parents[1])
    report_cli.main([str(sweep)])
    assert files(sweep) == sorted([*FILES, "sweep.json"])
    said = capsys.readouterr().out
    assert "0.906 ± 0.044" in said
    assert said.rstrip().endswith(
        "sweeps/fc_digits-0a1b2c3d: report.html, summary.csv, summary.md, summary.tex, plots/"
    )
    html = (sweep / "report.html").read_text(encoding="utf-8")
    assert html == "<p>fc_digits ['by_lr'] ['summary.csv', 'summary.md', 'summary.tex'] ±</p>"
    assert (sweep / "plots" / "by_lr.png").read_bytes().startswith(b"\x89PNG")
    assert b"\r" not in (sweep / "summary.csv").read_bytes()


@pytest.mark.usefixtures("stubs")
def test_a_mix_goes_to_reports_or_where_it_is_told(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "alone", config={"epochs": 3})
    page = write_report([Path("alone"), sweep])
    assert page.parent.parent == tmp_path / "outputs" / "reports"
    assert files(page.parent) == FILES
    assert write_report([Path("alone"), sweep]) == page
    told = write_report([sweep], Path("mine"))
    assert told == tmp_path / "mine" / "report.html"
    assert (
        '"../outputs/sweeps/fc_digits-0a1b2c3d/lr=0.1,seed=0-00000000"' in (tmp_path / "mine/summary.csv").read_text()
    )


def test_the_real_pictures_and_page(sweep):
    html = write_report([sweep]).read_text(encoding="utf-8")
    assert "0.906 ± 0.044" in html
    assert {path.read_bytes()[:4] for path in (sweep / "plots").iterdir()} == {b"\x89PNG"}
    assert "summary.tex" in html


def test_pictures_that_are_drawn_no_more_go(sweep, stubs, tmp_path):
    write_report([sweep])
    stubs(("other",))
    write_report([sweep])
    assert [path.name for path in (sweep / "plots").iterdir()] == ["other.png"]
    (tmp_path / "mine" / "plots").mkdir(parents=True)
    (tmp_path / "mine" / "plots" / "holiday.png").write_bytes(b"")
    write_report([sweep], tmp_path / "mine")
    assert (tmp_path / "mine" / "plots" / "holiday.png").exists()


def test_nothing_is_written_where_a_picture_fails(sweep, stubs, monkeypatch):
    def fails(report):
        raise ValueError("no")

    monkeypatch.setattr(sys.modules["dlhw.report.pictures"], "draw_pictures", fails)
    with pytest.raises(ValueError, match="no"):
        write_report([sweep])
    assert files(sweep) == ["sweep.json"]


def test_an_interrupted_write_leaves_the_old_file(sweep, stubs, monkeypatch):
    write_report([sweep])
    before = (sweep / "summary.md").read_bytes()
    (sweep / "summary.md").write_bytes(b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match=r"cannot be written to .*: No space left on device"):
        write_report([sweep])
    assert (sweep / "summary.md").read_bytes() == b"old" != before
    assert not list(sweep.rglob("*.tmp"))


@pytest.mark.usefixtures("stubs")
def test_a_runs_own_folder_is_no_place_for_a_report(sweep, capsys):
    assert "is the folder of a run" in refused(capsys, sweep, "--out", sweep / "lr=0.1,seed=0-00000000")


def test_diff_is_printed(sweep, capsys):
    report_cli.main(["--diff", str(sweep / "lr=0.1,seed=0-00000000"), str(sweep / "lr=0.1,seed=1-00000001")])
    assert "seed  0  1" in capsys.readouterr().out


def test_what_is_wrong_is_told_in_one_line(sweep, capsys, tmp_path):
    assert "which runs?" in refused(capsys)
    assert "unrecognized arguments: --diffs" in refused(capsys, "a", "--diffs")
    assert "expected 2 arguments" in refused(capsys, "--diff", sweep)
    assert "takes no PATH" in refused(capsys, sweep, "--diff", sweep, sweep)
    assert "did you mean" in refused(capsys, sweep.with_name("fc_digit"))


def test_help_is_quick():
    code = (
        "import sys\nfrom dlhw import report_cli\ntry:\n    report_cli.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'matplotlib', 'scipy', 'numpy', 'hydra'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: dlhw-report")
    assert done.stdout.endswith("[]\n")
