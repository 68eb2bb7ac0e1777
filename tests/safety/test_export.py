"""`dlhw-eval run=… export=FILE.safetensors`: the weights that were tested, for others to read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from outcomes import TINY, Outcome, written
from safetensors import safe_open
from safetensors.torch import load_file

import dlhw
from dlhw.export import write_new

Door = Callable[..., Outcome]


@pytest.fixture
def run(finished_run: Path, here: Path) -> Path:
    return Path(shutil.copytree(finished_run, here / "run"))


@pytest.mark.parametrize("which", ["auto", "best", "last"])
def test_the_weights(which: str, run: Path, door: Door, here: Path) -> None:
    before = written(here)
    outcome = door("run=run", f"checkpoint={which}", "export=w.safetensors", program="dlhw-eval")
    assert outcome.code == 0, outcome
    assert written(here) == sorted([*before, "w.safetensors"])
    name = "last" if which == "last" else "best"
    expected = torch.load(run / f"checkpoints/{name}.pt", weights_only=True)["model"]
    found = load_file(here / "w.safetensors")
    assert list(found) == sorted(expected)
    assert all(torch.equal(found[key], expected[key]) and found[key].dtype == expected[key].dtype for key in expected)
    with safe_open(here / "w.safetensors", "pt") as file:
        told = file.metadata()
    config = json.loads(told["config"])
    assert (told["checkpoint"], told["epoch"], told["format"]) == (name, "1", "pt")
    assert (config["model"]["hidden"], config["dataset"]["num_classes"]) == ([8], 10)
    assert json.loads(told["classes"]) == [str(digit) for digit in range(10)]
    assert json.loads(told["preprocess"]) == {}


def test_how_inputs_are_normalised(door: Door, here: Path) -> None:
    run = dlhw.run(*TINY, "dataset.normalize=channel", "checkpoints=last")
    assert door(f"run={run.folder}", "export=w.safetensors", program="dlhw-eval").code == 0
    with safe_open(here / "w.safetensors", "pt") as file:
        preprocess = json.loads(file.metadata()["preprocess"])
    inputs = torch.load(run.folder / "checkpoints/last.pt", weights_only=True)["inputs"]
    assert preprocess == {key: value.tolist() for key, value in inputs.items()}
    assert 0 < preprocess["mean"][0][0][0] < 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["export=there.safetensors"], "export=there.safetensors: is there already, and nothing is overwritten"),
        (["export=w.pt"], "export=w.pt: names a .safetensors file in a folder that is there"),
        (["export=no/where.safetensors"], "export=no/where.safetensors: names a .safetensors file in a folder"),
        (["export=w.safetensors", "images=[a.png]"], "export=w.safetensors beside images"),
        (["export=w.safetensors", "checkpoint=last", "GONE"], "last.pt is missing"),
    ],
)
def test_what_is_refused(words: list[str], says: str, run: Path, door: Door, here: Path) -> None:
    (here / "there.safetensors").write_bytes(b"mine")
    if "GONE" in words:
        (run / "checkpoints/last.pt").unlink()
    before = written(here)
    line = door("run=run", *(word for word in words if word != "GONE"), program="dlhw-eval").refusal()
    assert says in line
    assert written(here) == before
    assert (here / "there.safetensors").read_bytes() == b"mine"


def test_a_file_that_appears_meanwhile_stays(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = here / "w.safetensors"
    path.write_bytes(b"mine")
    with pytest.raises(dlhw.errors.UserError, match="cannot be written: File exists"):
        write_new(path, {"a": torch.zeros(1)}, {})
    assert path.read_bytes() == b"mine"
    assert written(here) == ["w.safetensors"]


def test_tensors_of_any_kind(here: Path) -> None:
    """Shared, not contiguous, of other types: as they are used, each by itself."""
    shared = torch.arange(24.0).reshape(2, 3, 2, 2).to(memory_format=torch.channels_last)
    tensors = {"a": shared, "b": shared, "c": shared.T if shared.ndim == 2 else shared[:, 0], "n": torch.tensor(3),
               "h": torch.ones(2, dtype=torch.bfloat16), "d": torch.ones(2, dtype=torch.float64)}  # fmt: skip
    write_new(here / "w.safetensors", tensors, {})
    found = load_file(here / "w.safetensors")
    assert all(torch.equal(found[key], value) and found[key].dtype == value.dtype for key, value in tensors.items())
