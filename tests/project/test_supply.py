"""What dlhw is installed with: every package pinned, as it is installed, and its licence listed."""

import importlib.util
import re
import tomllib
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as canonical
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line[:1] not in "#")
PINNED = {canonical(name): version for name, version in PINS.items()}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


@pytest.fixture(scope="module")
def licences() -> ModuleType:
    spec = importlib.util.spec_from_file_location("licences", ROOT / "docs" / "licences.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def needed(*extras: str) -> dict[str, str | None]:
    """The version installed of each package that dlhw needs with these extras, however indirectly; None: not there."""
    found: dict[str, str | None] = {}
    todo, seen = [("dlhw", frozenset(extras))], set()
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            found[name] = None
            continue
        found[name] = distribution.version
        for line in distribution.requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or any(requirement.marker.evaluate({"extra": x}) for x in ("", *wanted)):
                todo.append((canonical(requirement.name), frozenset(requirement.extras)))
    del found["dlhw"]
    return found


def test_what_the_tests_need_is_pinned_at_what_is_installed() -> None:
    installed = needed("test")
    assert len(installed) > 90
    assert {name: PINNED.get(name) for name in installed} == installed


def test_what_lightning_needs_is_pinned() -> None:
    """As far as is installed here; `make bench-lightning` installs the rest by the same constraints."""
    assert {canonical(Requirement(line).name) for line in EXTRAS["lightning"]} <= set(PINNED)
    for name, version in needed("lightning").items():
        assert name in PINNED
        assert version in (None, PINNED[name])


def test_a_pin_is_one_exact_version() -> None:
    assert all(re.fullmatch(r"[\w.]+", version) for version in PINS.values())
    assert len(PINNED) == len(PINS)
    assert list(PINS) == sorted(PINS, key=str.lower)


def test_the_licences_are_listed_as_the_packages_have_them(licences: ModuleType) -> None:
    text = licences.PAGE.read_text()
    listed = dict(re.findall(r"^(\| (\S+) \| .*)$", text, re.MULTILINE))
    assert [name for name in listed.values() if name not in ("package", "---")] == list(PINS)
    assert [line for line in licences.rows().values() if line not in text] == []


def test_no_version_with_a_known_fault_is_allowed() -> None:
    """Of docs/advisories.md: the pins are newer, and so is all that pyproject.toml lets in."""
    listed = re.findall(r"^\| ([\w-]+) \| ([\d.]+) \|", (ROOT / "docs" / "advisories.md").read_text(), re.MULTILINE)
    direct = {canonical(found.name): found.specifier for found in map(Requirement, PROJECT["dependencies"])}
    assert len(listed) > 5
    for name, fixed in listed:
        assert Version(PINNED[canonical(name)]) >= Version(fixed)
        if canonical(name) in direct:
            (lowest,) = [Version(part.version) for part in direct[canonical(name)] if part.operator == ">="]
            assert lowest >= Version(fixed), name


def test_the_malicious_releases_of_lightning_are_ruled_out() -> None:
    (lightning,) = map(Requirement, EXTRAS["lightning"])
    allowed = [version in lightning.specifier for version in ("2.6.1", "2.6.2", "2.6.3", PINNED["lightning"])]
    assert allowed == [True, False, False, True]


@pytest.mark.parametrize(
    ("licence", "kind"),
    [
        ("MPL-2.0 AND MIT", "weak: of its files"),
        ("GNU Lesser General Public License v2 (LGPLv2)", "weak: of the library"),
        ("GPL-3.0-only", "strong"),
        ("AGPL-3.0", "strong"),
        ("GPL-3.0-with-GCC-exception", ""),
        ("BSD-3-Clause", ""),
    ],
)
def test_copyleft_is_noted(licence: str, kind: str, licences: ModuleType) -> None:
    assert licences.copyleft(licence) == kind


def test_no_package_has_a_strong_copyleft(licences: ModuleType) -> None:
    assert "| strong |" not in licences.PAGE.read_text()
