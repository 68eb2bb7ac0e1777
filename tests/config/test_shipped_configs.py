"""Every shipped YAML composes, passes the strict check and is bound to its constructor; nothing is loaded."""

from pathlib import Path
from pkgutil import resolve_name

import pytest
from omegaconf import DictConfig, OmegaConf, open_dict
from PIL import Image
from shipped import COMPANIONS, CONF, FILES, GROUPS, options
from torch import nn

from dlhw.config.build import build
from dlhw.config.check import SUPPLIED
from dlhw.config.compose import composed
from dlhw.config.schema import GROUPS as PARTS
from dlhw.config.shipped import hydra_session
from dlhw.config.targets import signature_of

CHOICES = [f"{group}={option}" for group in GROUPS for option in options(group)]


@pytest.fixture(autouse=True)
def photos(tmp_path: Path) -> None:
    """What image_folder needs before it can be built."""
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "photos" / name / "1.png")


@pytest.mark.parametrize("choice", ["", *CHOICES])
def test_every_option_is_built(choice: str) -> None:
    with hydra_session() as session:
        config = composed([*session, *([choice] if choice else []), *COMPANIONS.get(choice, [])])
    with open_dict(config):
        del config["hydra"]
    dataset = build(config.dataset, "dataset")
    config.dataset.classes = dataset.classes  # an image folder's are its folders
    resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    model = build(config.model, "model")
    loss = build(config.loss, "loss")
    optimizer = build(config.optimizer, "optimizer", list(model.parameters()))
    takes = signature_of(resolve_name(config.scheduler._target_))
    facts = {name: 10 for name in SUPPLIED["scheduler"] if name in takes and name != "optimizer"}
    schedule = build(config.scheduler, "scheduler", optimizer, **facts)

    assert "${" not in str(resolved)
    assert dataset.task == config.dataset.task
    assert isinstance(model, nn.Module)
    assert isinstance(loss, nn.Module)
    assert sum(p.numel() for p in model.parameters()) > 0
    assert optimizer.defaults["lr"] == config.optimizer.lr
    assert (schedule.scheduler is None) == config.scheduler._target_.endswith(".none")


@pytest.mark.parametrize("choice", [choice for choice in CHOICES if choice.startswith("experiment=")])
def test_a_preset_can_be_built_upon(choice: str, tmp_path: Path) -> None:
    """Its own defaults are found from a user's preset too, and the run bears the name of what was chosen."""
    option = choice.partition("=")[2]
    (tmp_path / "experiment").mkdir()
    mine = f"# @package _global_\ndefaults: [/experiment/{option}, _self_]\nseed: 7\n"
    (tmp_path / "experiment/mine.yaml").write_text(mine)
    with hydra_session(str(tmp_path)) as session:
        config, original = composed([*session, "experiment=mine"], str(tmp_path)), composed([*session, choice])
        assert (config.name, original.name, config.seed) == ("mine", option.replace("/", "_"), 7)
        assert parts_of(config, seed=7) == parts_of(original, seed=7)


def parts_of(config: DictConfig, seed: int) -> list[object]:
    config.seed = seed
    return [OmegaConf.to_container(config[part], resolve=True) for part in PARTS]


def test_each_file_is_an_option_or_a_part_of_one() -> None:
    parts = {file for file in FILES if "/kind/" in file}
    chosen = {choice.replace("=", "/") for choice in CHOICES if not choice.startswith("study=")}
    assert chosen | parts | {"config"} == set(FILES)
    for part in parts:
        users = [file for file in FILES if part.partition("/")[2] in (CONF / f"{file}.yaml").read_text()]
        assert users, f"{part} is used by no option"
