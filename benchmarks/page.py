"""Puts the latest tables into docs/benchmarks.md, between `<!-- NAME -->` and `<!-- /NAME -->`.

python benchmarks/page.py [--results benchmarks/results] [--page docs/benchmarks.md]
"""

import argparse
import re
from pathlib import Path

from measure import RESULTS

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PLACE = re.compile(r"(<!-- (?P<name>\w+) -->\n).*?(<!-- /(?P=name) -->)", re.DOTALL)


def filled(page: str, results: Path) -> str:
    """The page with the table of every part that has left one, and below it the line on machine and versions."""

    def fill(place: re.Match[str]) -> str:
        path = results / f"{place['name']}.md"
        if not path.is_file():
            return place[0]
        lines = path.read_text().strip().splitlines()
        table = "\n".join(line for line in lines if line.startswith("|"))
        return f"{place[1]}\n{table}\n\n{lines[-1]}\n\n{place[3]}"

    return PLACE.sub(fill, page)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    args = parser.parse_args()
    args.page.write_text(filled(args.page.read_text(), args.results))
    print(f"{args.page} has the latest tables")


if __name__ == "__main__":
    main()
