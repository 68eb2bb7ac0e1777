"""What is read from a source is what the imported thing takes."""

import re
from pathlib import Path
from pkgutil import resolve_name

import pytest

from dlhw.config.check import named
from dlhw.config.parameters import parameter_names
from dlhw.config.shipped import conf_dir
from dlhw.config.targets import signature_of

SHIPPED = {
    target
    for path in conf_dir().rglob("*.yaml")
    for target in re.findall(r"^ *_target_: (\S+)$", path.read_text(), re.MULTILINE)
}
TORCHS = ("torch.optim.NAdam", "torch.nn.NLLLoss", "torch.optim.lr_scheduler.StepLR", "torch.nn.functional.mse_loss")


@pytest.mark.parametrize("target", sorted({*SHIPPED, *TORCHS}))
def test_they_are_those_of_the_signature(target: str) -> None:
    assert parameter_names(target) == named(signature_of(resolve_name(target)))


def test_all_targets_were_found() -> None:
    assert len(SHIPPED) > 30


@pytest.mark.parametrize(
    "target", ["nowhere.Net", "torch.nn.Linaer", "torch.optim.Foo", "torch.Foo", "Net", "sys.path"]
)
def test_what_no_source_tells_is_none(target: str) -> None:
    assert parameter_names(target) is None


MODULE = """
from abc import ABC
from dataclasses import dataclass
from typing import ClassVar
from .deeper import Base as Renamed
from ..mine import *

def function(a, /, b, *args, c=1, **kwargs): ...

class Plain: ...

class Child(Renamed):
    def method(self, z): ...

@dataclass(kw_only=True)
class First(ABC):
    SHARED: ClassVar[int] = 1
    one: int
    two: int = 2

@dataclass
class Second(First):
    three: int = 3
    one: int = 4

class Odd(dict[str, int]): ...

class Dotted(torch.optim.Adam): ...

class Net(nn.Module): ...
"""


@pytest.mark.parametrize(
    ("name", "takes"),
    [("function", ["a", "b", "c"]), ("Plain", []), ("Child", ["x", "y"]), ("First", ["one", "two"]),
     ("Second", ["one", "two", "three"]), ("Odd", None), ("Missing", None), ("Dotted", None), ("Net", [])],
)  # fmt: skip
def test_a_users_own_module_is_read(name, takes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Imports that go round in a circle end too."""
    package = tmp_path / f"mine_{name.lower()}"
    package.mkdir()
    (package / "__init__.py").write_text("from .net import *\nraise RuntimeError('nothing is imported')\n")
    (package / "net.py").write_text(MODULE.replace("..mine", "."))
    (package / "deeper.py").write_text("class Base:\n    def __init__(self, x, *, y=1): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert parameter_names(f"{package.name}.net.{name}") == takes
    assert parameter_names(f"{package.name}.{name}") == takes


def test_a_broken_file_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_file.py").write_text("class Net(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert parameter_names("broken_file.Net") is None
