"""conf/dataset/*.yaml of these sets: keys, facts, and the loss and model that they choose unless one is typed."""

import inspect
import math

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from dlhw.config.shipped import conf_dir

NAMES = ["xor", "toy", "sine", "canvas", "denoise", "pets"]
CHOOSES = {
    "xor": ("mse", "fc"),
    "toy": ("cross_entropy", "fc"),
    "sine": ("mse", "rnn"),
    "canvas": ("cross_entropy", "unet"),
    "denoise": ("mse", "unet"),
    "pets": ("cross_entropy", "unet"),
}


@pytest.fixture
def composed(tmp_path):
    """Composes a root config that lists dataset after model and loss; their options are names and nothing more."""
    GlobalHydra.instance().clear()
    root = {
        "defaults": [{"model": "lenet5"}, {"loss": "cross_entropy"}, {"dataset": "digits"}, "_self_"],
        "seed": 3,
        "data_dir": str(tmp_path),
        "hydra": {"searchpath": [conf_dir().as_uri()]},
    }
    (tmp_path / "root.yaml").write_text(yaml.safe_dump(root))
    options = {"model": ["lenet5", "fc", "rnn", "unet", "resnet50_unet"], "loss": ["cross_entropy", "mse", "dice"]}
    for group, names in options.items():
        (tmp_path / group).mkdir()
        for name in names:
            (tmp_path / group / f"{name}.yaml").write_text(f"name: {name}\n")

    def composed(*overrides):
        with initialize_config_dir(str(tmp_path), version_base="1.3"):
            return compose("root", list(overrides))

    yield composed
    GlobalHydra.instance().clear()


@pytest.mark.parametrize("name", NAMES)
def test_keys_are_the_constructors(composed, name):
    config = composed(f"dataset={name}").dataset
    assert set(config) - {"_target_"} == set(inspect.signature(get_class(config._target_)).parameters)


@pytest.mark.parametrize("name", NAMES)
def test_a_set_can_be_built_and_states_what_its_yaml_does(composed, name):
    config = composed(f"dataset={name}").dataset
    dataset = instantiate(config, _convert_="all")
    config.classes = dataset.classes  # as a run does
    for key in ("task", "in_features", "out_features", "out_channels", "num_classes", "classes"):
        assert getattr(dataset, key, None) == config.get(key), key
    size = math.prod(dataset.input_shape)
    assert config.in_features == (1 if name == "sine" else size)
    assert getattr(dataset, "seed", 3) == 3


@pytest.mark.parametrize("name", NAMES)
def test_a_set_chooses_loss_and_model_unless_they_are_typed(composed, name):
    config = composed(f"dataset={name}")
    assert (config.loss.name, config.model.name) == CHOOSES[name]
    typed = composed(f"dataset={name}", "loss=dice", "model=resnet50_unet")
    assert (typed.loss.name, typed.model.name) == ("dice", "resnet50_unet")


@pytest.mark.parametrize("name", NAMES)
def test_a_presets_choice_wins_too(composed, tmp_path, name):
    preset = (
        f"# @package _global_\ndefaults: [override /dataset: {name}, override /model: lenet5, override /loss: dice]\n"
    )
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/mine.yaml").write_text(preset)
    config = composed("+experiment=mine")
    assert (config.loss.name, config.model.name) == ("dice", "lenet5")
    assert config.dataset._target_.startswith(f"dlhw.dataset.{name}.")


@pytest.mark.parametrize(
    ("source", "shape"),
    [("digits", (1, 28, 28)), ("mnist", (1, 28, 28)), ("cifar10", (3, 32, 32)), ("image_folder", (3, 32, 32))],
)
def test_denoise_takes_its_sources_facts(composed, source, shape):
    config = composed("dataset=denoise", f"dataset.source={source}").dataset
    assert (config.in_channels, config.image_size, config.out_channels) == (shape[0], shape[1], shape[0])
    assert instantiate(config, _convert_="all").input_shape == shape
    small = composed("dataset=denoise", f"dataset.source={source}", "dataset.image_size=16").dataset
    assert small.out_features == small.in_features == shape[0] * 256


def test_a_misspelt_source_is_refused_by_name(composed):
    for name in ("canvas", "denoise"):
        with pytest.raises(Exception, match=r"source=mnits: expected .*did you mean mnist"):
            instantiate(composed(f"dataset={name}", "dataset.source=mnits").dataset, _convert_="all")


@pytest.mark.parametrize("name", NAMES)
def test_everything_resolves(composed, name):
    config = composed(f"dataset={name}").dataset
    assert OmegaConf.missing_keys(config) == set()
    assert "${" not in str(OmegaConf.to_container(config, resolve=True))
