"""The report's files: all of them made in memory, then written, each whole or not at all."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dlhw.errors import UserError
from dlhw.files import write_bytes
from dlhw.report.contents import Report
from dlhw.report.finding import is_run
from dlhw.report.latex import summary_tex
from dlhw.report.markdown import summary_md
from dlhw.report.reading import read_report
from dlhw.report.tables import summary_csv


def write_report(paths: Sequence[Path], out: Path | None = None) -> Path:
    """Read what lies in `paths` and write summary.{csv,md,tex}, plots/*.png and report.html; returns the last.

    They go to `out`, else to the sweep's own folder, else to outputs/reports/. Raises UserError.
    """
    return write(placed(read_report(paths), out))


def placed(report: Report, out: Path | None) -> Report:
    """The report with the folder that its files go to."""
    if out is None:
        return report
    if is_run(out):
        raise UserError(f"--out {out}: is the folder of a run, whose plots are its own; name another one")
    return replace(report, folder=out.resolve())


def write(report: Report) -> Path:
    from dlhw.report.page import page  # these two load matplotlib and jinja2

    files = {"summary.csv": summary_csv(report), "summary.md": summary_md(report), "summary.tex": summary_tex(report)}
    pictures = drawn(report)
    html = page(report, pictures, files)
    contents = {
        **{f"plots/{stem}.png": png for stem, png in pictures.items()},
        **{name: text.encode() for name, text in files.items()},
        "report.html": html.encode(),
    }
    try:
        report.folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_bytes(report.folder / name, content)
        forget_old_pictures(report, contents)
    except OSError as error:
        raise UserError(f"the report cannot be written to {report.folder}: {error.strerror or error}") from error
    return report.folder / "report.html"


def drawn(report: Report) -> dict[str, bytes]:
    """The pictures as PNG, by file stem."""
    from dlhw.plot.png import png
    from dlhw.report.pictures import draw_pictures

    return {stem: png(figure) for stem, figure in draw_pictures(report)}


def forget_old_pictures(report: Report, written: dict[str, bytes]) -> None:
    """Take away what an earlier report of a sweep drew and this one does not; elsewhere pictures may be anybody's."""
    if (report.folder / "sweep.json").is_file():
        for path in (report.folder / "plots").glob("*.png"):
            if f"plots/{path.name}" not in written:
                path.unlink(missing_ok=True)
