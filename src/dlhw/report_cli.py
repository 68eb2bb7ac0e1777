"""`dlhw-report`: any runs, sweeps and studies, compared: tables, plots and a page, from what lies in outputs/ alone."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from dlhw.errors import UserError, printable, visible

HELP = """\
examples:
  dlhw-report outputs/sweeps/NAME-HASH                     a sweep: table, plots and page go into its own folder
  dlhw-report outputs/runs/fc_digits outputs/sweeps/*      any runs, compared by the keys in which they differ
  dlhw-report outputs/runs/A/TIME outputs/runs/B/TIME --out comparison
  dlhw-report --diff outputs/runs/A/TIME outputs/runs/B/TIME
"""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (dlhw-report --help tells more)")


def parser() -> Parser:
    told = Parser("dlhw-report", description=__doc__, epilog=HELP, formatter_class=argparse.RawDescriptionHelpFormatter)
    told.add_argument("paths", nargs="*", metavar="PATH", type=Path, help="a run, a sweep, a study, or a folder above")
    told.add_argument("--out", type=Path, metavar="FOLDER", help="where to write; the sweep's own folder if not given")
    told.add_argument("--diff", nargs=2, type=Path, metavar=("A", "B"), help="two runs: what differs, down to weights")
    return told


def main(words: Sequence[str] | None = None) -> None:
    """Exit code 2 for what the user wrote wrong, in one line."""
    try:
        tell(parser().parse_args(words))
    except OSError as error:  # a name that is too long, a folder that is closed
        print(f"dlhw-report: {printable(f'{error.filename}: {error.strerror}')}", file=sys.stderr)
        sys.exit(2)
    except UserError as error:
        print(f"dlhw-report: {printable(str(error))}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("dlhw-report: interrupted", file=sys.stderr)
        sys.exit(130)


def tell(args: argparse.Namespace) -> None:
    if args.diff:
        if args.paths or args.out:
            raise UserError("--diff A B: compares two runs and writes nothing, so it takes no PATH and no --out")
        from dlhw.report.diff import diff

        print(visible(diff(*args.diff)), end="")
    elif not args.paths:
        raise UserError("which runs? Name folders, as in dlhw-report outputs (dlhw-report --help tells more)")
    else:
        report(args.paths, args.out)


def report(paths: Sequence[Path], out: Path | None) -> None:
    from dlhw.report.reading import read_report
    from dlhw.report.terminal import told
    from dlhw.report.write import placed, write

    made = placed(read_report(paths), out)
    page = write(made)
    print(visible(told(made)))
    here = Path.cwd()
    shown = page.relative_to(here) if page.is_relative_to(here) else page
    print(f"\n{shown.parent}: report.html, summary.csv, summary.md, summary.tex, plots/")


if __name__ == "__main__":
    main()
