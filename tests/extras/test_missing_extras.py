"""Where an extra is not installed, its option says how to install it. Hydra's plugins are hidden, not taken out."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from outcomes import TINY, Outcome, written

from dlhw.config.explain import EXTRAS

PYPROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("option", EXTRAS)
def test_one_line(
    option: str, door: Callable[..., Outcome], a_place_of_its_own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Plugins.instance()  # which store their options when they are found
    group, _, name = option.rpartition("/")
    _, kind = group.split("/")
    monkeypatch.delitem(ConfigStore.instance().repo["hydra"][kind], f"{name}.yaml", raising=False)
    outcome = door("-m", *TINY, f"{group}={name}", "seed=0,1")
    assert outcome.refusal() == f"{group}={name}: is not installed: pip install 'dlhw[{EXTRAS[option]}]'"
    assert written(a_place_of_its_own) == []


def test_extras_are_declared_and_no_part_of_the_core() -> None:
    extras = PYPROJECT["optional-dependencies"]
    for extra in ("slurm", "tune", "track"):
        names = [re.split(r"[<>=~!]", line)[0] for line in extras[extra]]
        assert names
        assert not set(names) & {re.split(r"[<>=~!]", line)[0] for line in PYPROJECT["dependencies"]}
    assert set(EXTRAS.values()) <= set(extras)
