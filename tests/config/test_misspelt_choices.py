"""Misspelt groups, options and presets are refused with the right name, also inside a user's own files."""

from pathlib import Path

import pytest
from misspell import misspelt
from shipped import GROUPS, options

from dlhw.config.compose import composed
from dlhw.config.explain import about_an_override
from dlhw.config.shipped import hydra_session
from dlhw.errors import UserError


def refusal(config_dir: Path, *overrides: str) -> str:
    with hydra_session(str(config_dir)) as session, pytest.raises(UserError) as refused:
        composed([*session, *overrides], str(config_dir))
    line = str(refused.value)
    assert "\n" not in line
    return line


def preset(folder: Path, content: str, package: str = "# @package _global_\n") -> None:
    (folder / "experiment").mkdir()
    (folder / "experiment/mine.yaml").write_text(package + content)


@pytest.mark.parametrize("group", GROUPS)
def test_a_group(group: str, tmp_path: Path) -> None:
    option = options(group)[0]
    for turn, plus in enumerate(("", "+", "++")):
        wrong = misspelt(group, GROUPS, turn)
        assert refusal(tmp_path, f"{plus}{wrong}={option}") == f"unknown key {wrong}; did you mean {group}?"


@pytest.mark.parametrize("group", GROUPS)
def test_an_option(group: str, tmp_path: Path) -> None:
    """Where two options are equally near, such as adam and adamw to adamm, either is a good answer."""
    known = options(group)
    named = 0
    for turn, option in enumerate(known):
        wrong = misspelt(option, known, turn)
        line = refusal(tmp_path, f"{group}={wrong}")
        assert line.startswith(f"{group}={wrong}: no such option ({group} has {', '.join(known)})")
        named += f"did you mean {option}?" in line
    assert named >= 0.9 * len(known)


def test_a_preset_without_its_folder(tmp_path: Path) -> None:
    assert "did you mean fashion/lenet5_best?" in refusal(tmp_path, "experiment=fashon/lenet5_best")
    assert "no such option (experiment has " in refusal(tmp_path, "experiment=lenet5_best")


def test_the_users_own_options_are_among_those_named(tmp_path: Path) -> None:
    preset(tmp_path, "epochs: 2\n")
    line = refusal(tmp_path, "experiment=mien")
    assert ", mine, " in line
    assert line.endswith("did you mean mine?")


@pytest.mark.parametrize("group", [group for group in GROUPS if group != "experiment"])
def test_an_override_in_a_preset(group: str, tmp_path: Path) -> None:
    wrong = misspelt(group, GROUPS, len(group))
    preset(tmp_path, f"defaults: [override /{wrong}: {options(group)[0]}]\n")
    assert refusal(tmp_path, "experiment=mine") == f"in experiment/mine: unknown key {wrong}; did you mean {group}?"


def test_an_override_in_a_preset_as_hydra_1_4_tells_it() -> None:
    words = "Invalid Defaults List override '/modle: fc'.\nNo earlier Group Default for 'modle' exists to override."
    assert about_an_override(f"In 'experiment/mine': {words}", None) == "unknown key modle; did you mean model?"


def test_an_option_in_a_preset(tmp_path: Path) -> None:
    preset(tmp_path, "defaults: [override /model: lenet]\n")
    assert refusal(tmp_path, "experiment=mine").endswith("did you mean lenet5?")


@pytest.mark.parametrize(
    ("content", "package", "says"),
    [
        ("defaults: [override model: fc]\n", "# @package _global_\n", "override /model"),
        ("defaults: [override /model: fc]\n", "", "'# @package _global_'"),
        ("defaults: [/model: fc]\n", "# @package _global_\n", "override /model: fc"),
        ("epochs: ten\n", "# @package _global_\n", "in experiment/mine: epochs=ten: must be int"),
        ("epochs: [1\n", "# @package _global_\n", "mine.yaml"),
        ("monitor: 3\n", "# @package _global_\n", "in experiment/mine: "),
        ("[epochs]\n", "# @package _global_\n", "in experiment/mine: "),
        ("model: 3\n", "# @package _global_\n", "model=3"),
    ],
)
def test_a_preset_that_is_written_wrong(content: str, package: str, says: str, tmp_path: Path) -> None:
    preset(tmp_path, content, package)
    assert says in refusal(tmp_path, "experiment=mine")


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("hydra/lancher=basic", "did you mean hydra/launcher?"),
        ("hydra/launcher=bsic", "hydra/launcher=bsic: no such option (hydra/launcher has basic, joblib"),
        ("modle@model=fc", "did you mean model?"),
        ("~modle", "did you mean model?"),
        ("~model", "model is missing"),
        ("+experiment=mnist/mlp", "experiment=mnist/mlp needs no +"),
        ("model=null", "an option is chosen by its name"),
        ("seed=1,2", "add -m to sweep"),
        ("epochs", "epochs: is not of the form KEY=VALUE"),
        ("model.hidden=[8", "[8"),
    ],
)
def test_an_override_that_is_written_wrong(override: str, says: str, tmp_path: Path) -> None:
    assert says in refusal(tmp_path, override)
