"""What the strict check refuses beside misspelt keys: types, values and targets. And what it lets through."""

import sys
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf, open_dict

from dlhw.config.compose import composed
from dlhw.config.saved import load_config
from dlhw.config.shipped import conf_dir, hydra_session
from dlhw.errors import UserError

OWN_CLASSES = """
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes: int, width: int = 8, scale: "Unknown" = None):
        super().__init__()

class Anything(nn.Module):
    def __init__(self, **kwargs):
        super().__init__()

class Plain(nn.Module):
    pass
"""


OWN = "trust=[own_classes]"


@pytest.fixture
def own_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_classes.py").write_text(OWN_CLASSES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_classes", raising=False)


def compose(*overrides: str) -> DictConfig:
    with hydra_session() as session:
        return composed([*session, *overrides])


def refusal(*overrides: str) -> str:
    with pytest.raises(UserError) as refused:
        compose(*overrides)
    line = str(refused.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("epochs=0", "epochs=0: must be at least 1"),
        ("epochs=-3", "epochs=-3: must be at least 1"),
        ("batch_size=0", "batch_size=0: must be at least 1"),
        ("seed=-1", "seed=-1: must be at least 0"),
        ("threads=0", "threads=0: must be at least 1 and at most 1024 or auto"),
        ("threads=autoo", "threads=autoo: must be at least 1 and at most 1024 or auto"),
        ("threads=true", "threads=true: must be at least 1 and at most 1024 or auto"),
        ("threads=1000000", "threads=1000000: must be at least 1 and at most 1024 or auto"),
        ("seed=99999999999999999999", "seed=99999999999999999999: must be at least 0 and at most 4294967295"),
        ("clip_grad_norm=-1", "clip_grad_norm=-1.0: must be at least 0"),
        ("clip_grad_norm=nan", "clip_grad_norm=nan: must be at least 0"),
        ("clip_grad_norm=inf", "clip_grad_norm=inf: must be at least 0"),
        ("accumulate_steps=0", "accumulate_steps=0: must be at least 1"),
        ("limit_batches=0", "limit_batches=0: must be at least 1"),
        ("log_every=0", "log_every=0: must be at least 1"),
        ("early_stopping.patience=0", "early_stopping.patience=0: must be at least 1"),
        ("early_stopping.min_delta=-0.1", "early_stopping.min_delta=-0.1: must be at least 0"),
        ("precision=fp8", "precision=fp8: is one of auto, fp32, bf16, fp64"),
        ("precision=fp23", "precision=fp23: is one of auto, fp32, bf16, fp64; did you mean fp32?"),
        ("channels_last=1", "channels_last=1: is one of auto, true, false"),
        ("plots=al", "plots=al: is one of all, basic, none; did you mean all?"),
        ("checkpoints=best", "checkpoints=best: is one of best_last, last, none; did you mean best_last?"),
        ("monitor.mode=maximum", "monitor.mode=maximum: is one of auto, min, max"),
        ("optimizer.lr=abc", "optimizer.lr=abc: must be float"),
        ("optimizer.nesterov=1", "unknown key optimizer.nesterov (torch.optim.Adam takes no such key)"),
        ("model.channels=6", "model.channels=6: must be list[int]"),
        ("model.channels=[6,a,120]", "model.channels=[6, a, 120]: must be list[int]"),
        ("model.batchnorm=1", "model.batchnorm=1: must be bool"),
        ("model.dropout=true", "model.dropout=true: must be float"),
        (
            "model.activation=rellu",
            "model.activation=rellu: must be one of relu, leaky_relu, tanh, sigmoid, silu, log_sigmoid, gelu; "
            "did you mean relu?",
        ),
        ("dataset.augment.flip=2", "dataset.augment.flip=2: must be bool"),
        ("dataset.augment=3", "dataset.augment=3: must be dlhw.dataset.augment.Augment"),
        ("dataset.normalize=chanel", "did you mean channel?"),
        ("scheduler=3", "an option is chosen by its name"),
        ("epochs=ten", "epochs=ten: must be int"),
        ("epochs=1.5", "epochs=1.5: must be int"),
        ("epochs=null", "epochs=null: must have a value"),
        ("monitor=null", "monitor=null: must have a value"),
        ("name=a/b", "name=a/b: names a folder"),
        ("name=..", "name=..: names a folder"),
        ("dataset=image_folder", "dataset.root is missing: give it, as in dataset.root=…"),
        ("~optimizer.lr", None),
        ("~model.num_classes", "model.num_classes is missing"),
        ("optimizer.amsgrad=true", "add it as +optimizer.amsgrad=…"),
        ("optimizer.params=3", "unknown key optimizer.params"),
        ("model._target_=dlhw.model.fc.FCC", "cannot be imported"),
        (
            "model._target_=nowhere.Net",
            "model._target_=nowhere.Net: nowhere is not trusted; if it is yours, add trust=[nowhere]",
        ),
        ("model.hidden=[8]", "known here: in_channels, image_size, num_classes, channels, "),
    ],
)
def test_a_value(override: str, line: str | None) -> None:
    if line is None:  # every constructor's default serves where a key is taken away
        assert "lr" not in compose(override).optimizer
    else:
        assert line in refusal(override)


def test_a_name_that_is_near_in_its_module() -> None:
    assert refusal("model._target_=dlhw.model.fc.FCC").endswith("did you mean FC?")
    assert refusal("model._target_=dlwh.model.fc.FC").endswith("did you mean dlhw?")
    line = refusal("model._target_=nowhere.Net", "trust=[nowhere]")
    assert line == "model._target_=nowhere.Net: cannot be imported: No module named 'nowhere'"


def test_what_a_part_takes_beside_its_yaml() -> None:
    assert compose("+optimizer.amsgrad=true").optimizer.amsgrad is True
    assert compose("+loss.reduction=mean").loss.reduction == "mean"


def test_an_interpolation_of_the_users() -> None:
    """`.classes` is a neighbour of the key it is given to, wherever else the override is read."""
    assert compose("model=fc", "dataset.train_size='${.image_size}'").dataset.train_size == 28


@pytest.mark.usefixtures("own_classes")
class TestAClassOfTheUsersOwn:
    def test_takes_what_it_names(self) -> None:
        config = compose(OWN, "model._target_=own_classes.Net", "+model.width=3")
        assert set(config.model) == {"_target_", "num_classes", "width"}
        assert config.model.num_classes == 10

    def test_a_misspelt_key(self) -> None:
        line = refusal(OWN, "model._target_=own_classes.Net", "+model.widht=3")
        assert line == "unknown key model.widht (own_classes.Net takes no such key); did you mean model.width?"

    def test_a_key_of_the_option_that_was_chosen(self) -> None:
        assert "model.pool" in refusal(OWN, "model._target_=own_classes.Net", "model.pool=max")

    def test_a_wrong_type(self) -> None:
        line = refusal(OWN, "model._target_=own_classes.Net", "+model.width=wide")
        assert line.startswith("model.width=wide: must be ")

    def test_open_ended(self) -> None:
        assert compose(OWN, "model._target_=own_classes.Anything", "+model.depth=3").model.depth == 3

    def test_without_a_constructor(self) -> None:
        assert set(compose(OWN, "model._target_=own_classes.Plain").model) == {"_target_"}
        assert "unknown key model.width" in refusal(OWN, "model._target_=own_classes.Plain", "+model.width=3")

    def test_a_misspelt_class(self) -> None:
        assert refusal(OWN, "model._target_=own_classes.Nett").endswith("did you mean Net?")


def test_a_saved_config_is_what_was_composed(tmp_path: Path) -> None:
    config = compose("model=fc", "name=mine")
    with open_dict(config):
        del config["hydra"]
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra/config.yaml").write_text(OmegaConf.to_yaml(config))
    assert load_config(tmp_path) == config


def test_the_shipped_files_are_found() -> None:
    assert (conf_dir() / "config.yaml").is_file()
