"""Every shipped conf/dataset/*.yaml composes and is what its class wants."""

import inspect
import math
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from dlhw.dataset.augment import Augment

CONF = Path(__file__).parents[2] / "conf"
NAMES = ["digits", "mnist", "fashion_mnist", "cifar10", "image_folder"]


@pytest.fixture
def composed(tmp_path):
    GlobalHydra.instance().clear()
    for name, resolver in (("len", lambda xs: None if xs is None else len(xs)), ("prod", lambda *xs: math.prod(xs))):
        if not OmegaConf.has_resolver(name):
            OmegaConf.register_new_resolver(name, resolver)
    root = {
        "defaults": [{"dataset": "digits"}, "_self_"],
        "seed": 3,
        "data_dir": str(tmp_path),
        "hydra": {"searchpath": [CONF.as_uri()]},
    }
    (tmp_path / "root.yaml").write_text(yaml.safe_dump(root))

    def composed(name, *overrides):
        with initialize_config_dir(str(tmp_path), version_base="1.3"):
            return compose("root", [f"dataset={name}", *overrides]).dataset

    yield composed
    GlobalHydra.instance().clear()


@pytest.mark.parametrize("name", NAMES)
def test_keys_are_the_constructors(composed, name):
    config = composed(name)
    signature = inspect.signature(get_class(config._target_))
    assert set(config) - {"_target_"} == set(signature.parameters)
    assert set(config.augment) - {"_target_"} == set(inspect.signature(Augment).parameters)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_configs_can_be_built(composed, name, tmp_path):
    (tmp_path / "photos/cat").mkdir(parents=True)
    (tmp_path / "photos/dog").mkdir()
    overrides = [f"dataset.root={tmp_path}/photos"] if name == "image_folder" else []
    config = composed(name, *overrides, "dataset.augment.flip=true")
    dataset = instantiate(config)
    assert dataset.num_classes == len(dataset.classes) == (2 if name == "image_folder" else 10)
    assert config.num_classes in (dataset.num_classes, None)
    assert dataset.seed == 3
    assert dataset.augment == Augment(flip=True)
    assert dataset.in_features == {"image_folder": 3072, "cifar10": 3072}.get(name, 784)


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_size_and_channels_are_overridden_in_one_place(composed, name):
    dataset = instantiate(composed(name, "dataset.image_size=32", "dataset.in_channels=3"))
    assert dataset.in_features == 3072
