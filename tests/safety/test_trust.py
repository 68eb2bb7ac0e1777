"""What the user types as trust may be named, by whatever door, and only there."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf
from outcomes import TINY, Outcome

import dlhw
from dlhw.config.saved import load_config
from dlhw.config.targets import locate
from dlhw.errors import UserError

Door = Callable[..., Outcome]
MINE = ("model._target_=mynets.deep.Net", *TINY[2:])
NET = """
import os
from functools import partial
from torch import nn
from torch.nn import Flatten

class Net(nn.Sequential):
    def __init__(self, num_classes: int, width: int = 8):
        super().__init__(nn.Flatten(), nn.Linear(784, width), nn.ReLU(), nn.Linear(width, num_classes))

def net(num_classes: int) -> nn.Module:
    return Net(num_classes)
"""
UNTOLD = "model._target_=mynets.deep.Net: mynets is not trusted; if it is yours, add trust=[mynets]"


@pytest.fixture(autouse=True)
def mynets(here: Path) -> Iterator[None]:
    """A package of that name; other tests have had modules of it."""
    (here / "mynets").mkdir()
    (here / "mynets/__init__.py").write_text("")
    (here / "mynets/deep.py").write_text(NET)
    forget_mynets()
    yield
    forget_mynets()


def forget_mynets() -> None:
    for name in ("mynets", "mynets.deep"):
        sys.modules.pop(name, None)


def test_a_run_is_trusted_each_time_it_is_taken_up(door: Door, here: Path) -> None:
    with pytest.raises(UserError) as untold:
        dlhw.run(*MINE)
    assert str(untold.value) == UNTOLD
    assert "mynets.deep" not in sys.modules
    assert dlhw.run(*MINE, "trust=[mynets]", "hydra.run.dir=run").results["epochs"] == 1
    for words, program in ((("resume=run", "epochs=2"), "dlhw"), (("run=run",), "dlhw-eval")):
        line = door(*words, program=program).refusal()
        assert line.startswith("run/.hydra/config.yaml: trust=[mynets]: stands in a file")
        assert line.endswith("if it is yours, add trust=[mynets]")
        assert door(*words, "trust=[mynets]", program=program).code == 0
    assert door("resume=run", "trust=[mynets]", "seed=3").refusal().endswith("only epochs may be raised")


@pytest.mark.filterwarnings("ignore")  # of optuna 2 and its SQLAlchemy
@pytest.mark.parametrize("words", [
    ("seed=0,1", "hydra/launcher=vectorized"),
    ("hydra/sweeper=optuna", "hydra/launcher=basic", "hydra.sweeper.n_trials=1", "optimizer.lr=interval(0.1,0.2)"),
    ("--config-dir", "my", "study=mine", "hydra/launcher=basic"),
], ids=["vectorized", "optuna", "study"])  # fmt: skip
def test_sweeps_pass_it_on(words: tuple[str, ...], door: Door, here: Path) -> None:
    study = {"name": "mine", "base": ["epochs=1"], "tables": {"t": {"by": "seed", "values": [0, 1]}}}
    (here / "my/study").mkdir(parents=True)
    (here / "my/study/mine.yaml").write_text(yaml.safe_dump(study))
    outcome = door("-m", *words, *MINE, "trust=[mynets]")
    assert outcome.code == 0, outcome
    assert len(list((here / "outputs").rglob("results.json"))) == (1 if "hydra/sweeper=optuna" in words else 2)
    assert door("-m", *words, *MINE).refusal() == UNTOLD


def test_a_planned_run_whose_folder_came_from_elsewhere(door: Door, here: Path, trace: Path) -> None:
    """The same line would train by the configs that lie there."""
    words = ("-m", *TINY, "seed=0,1", "hydra/launcher=basic")
    assert door(*words).code == 0
    for path in (here / "outputs").rglob(".hydra/config.yaml"):
        OmegaConf.save(OmegaConf.merge(OmegaConf.load(path), {"model": {"_target_": "evil.Net"}}), path)
        (path.parents[1] / "results.json").unlink()
        shutil.rmtree(path.parents[1] / "checkpoints")
    outcome = door(*words)
    assert outcome.code == 1
    assert "model._target_=evil.Net: evil is not trusted" in outcome.err


@pytest.mark.parametrize("name", ["mynets.deep.Net", "mynets.deep.net", "mynets.deep.Flatten"])
def test_what_a_trusted_module_has(name: str) -> None:
    assert callable(locate(name, "model", ["mynets"]))
    assert callable(locate(name, "model.part", ["mynets.deep"]))


@pytest.mark.parametrize("name", ["mynets.deep.os.system", "mynets.deep.partial", "mynets.deep.nn", "mynets.deep"])
def test_what_a_trusted_module_only_imports(name: str) -> None:
    with pytest.raises(UserError, match=r"model takes a torch\.nn\.Module"):
        locate(name, "model", ["mynets"])


@pytest.mark.parametrize("trust", [["mynet"], ["mynets.deeper"], ["nets"], ["mynets.deep.Net.x"]])
def test_what_is_near_a_trusted_module(trust: list[str]) -> None:
    with pytest.raises(UserError, match="mynets is not trusted"):
        locate("mynets.deep.Net", "model", trust)


@pytest.mark.parametrize(("trust", "says"), [
    ("[os]", "os is not yours"), ("[torch]", "torch is not yours"), ("[dlhw.files]", "dlhw is not yours"),
    ("[my-nets]", "my-nets is no module's name"), ("['']", "an empty name is no module's name"),
    ("[../mynets]", "is no module's name"),
])  # fmt: skip
def test_what_is_no_module_of_the_users(trust: str, says: str, door: Door) -> None:
    assert says in door(f"trust={trust}").refusal()
    assert says in door("run=x", f"trust={trust}", program="dlhw-eval").refusal()


def test_it_is_no_part_of_a_result(here: Path) -> None:
    from dlhw.sweep.identity import identity

    (here / ".hydra").mkdir()
    config = {"trust": ["mynets"], **{group: {} for group in ("dataset", "model", "loss", "optimizer", "scheduler")}}
    (here / ".hydra/config.yaml").write_text(yaml.safe_dump({**config, "name": "n"}))
    found = load_config(here, ["mynets", "others"])
    assert list(found.trust) == ["mynets", "others"]
    assert "trust" not in identity(found)
