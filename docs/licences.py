"""Writes docs/licences.md: the licence of each package of constraints.txt, as its own metadata has it.

`python docs/licences.py` lists all that is installed, and keeps the lines of what is not: `make bench-lightning` makes
an environment that has the rest.
"""

import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"

COPYLEFT = {
    r"AGPL|(?<![AL])GPL(?!.*exception)": "strong",
    r"LGPL|Lesser": "weak: of the library",
    r"MPL|Mozilla": "weak: of its files",
}
HEAD = """\
# Licences

dlhw is under the MIT licence and copies no code. What it is installed with, extras and tests included, is under these
(`python docs/licences.py` writes this page from the packages' own metadata):

| package | licence | copyleft |
|---|---|---|
"""
FOOT = """
The packages under MPL-2.0 are used as they come, which asks nothing of dlhw or of a program that uses it; only changed
files of theirs would have to be published. No package is under the GPL or the LGPL as a whole, but Linux wheels carry
libraries of GCC, each as a file of its own: libgfortran (NumPy, SciPy) and libgomp (torch, scikit-learn) under the GPL
with the exception for programs that are linked with them, libquadmath (NumPy, SciPy) under the LGPL 2.1. NVIDIA's
libraries, which torch's Linux wheels bring, are not free software: whoever hands them on has to read their terms.
"""


def pinned() -> list[str]:
    """The packages of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line.partition("==")[0] for line in lines if line and not line.startswith("#")]


def licence(package: str) -> str:
    """In SPDX's words where the package has them, else as it names it. Raises PackageNotFoundError."""
    found = metadata.metadata(package)
    classifiers = [
        text.rpartition(" :: ")[2]
        for text in found.get_all("Classifier", [])
        if text.startswith("License :: OSI Approved :: ") or "Proprietary" in text
    ]
    named = found.get("License-Expression") or ", ".join(classifiers) or found.get("License") or "not stated"
    return " ".join(named.strip().partition("\n")[0].split())


def copyleft(licence: str) -> str:
    return next((kind for pattern, kind in COPYLEFT.items() if re.search(pattern, licence)), "")


def rows() -> dict[str, str]:
    """The page's line for each package; of one that is not installed, the line that is there."""
    text = PAGE.read_text() if PAGE.exists() else ""
    lines = dict(re.findall(r"^(\| (\S+) \| .*)$", text, re.MULTILINE))
    there = {name: line for line, name in lines.items()}
    return {package: row(package) or there.get(package, "") for package in pinned()}


def row(package: str) -> str:
    """Empty where the package is not installed."""
    try:
        own = licence(package)
    except metadata.PackageNotFoundError:
        return ""
    return f"| {package} | {own} | {copyleft(own)} |"


if __name__ == "__main__":
    PAGE.write_text(HEAD + "".join(f"{line}\n" for line in rows().values() if line) + FOOT)
