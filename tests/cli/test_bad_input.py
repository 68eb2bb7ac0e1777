"""What cannot be used is refused with exit code 2 and one line that names it, and no folder is left behind."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from outcomes import TINY, Outcome, only, written

Door = Callable[..., Outcome]

OWN_NETS = """
from torch import nn

class ElevenClasses(nn.Sequential):
    def __init__(self, num_classes: int):
        super().__init__(nn.Flatten(), nn.Linear(784, num_classes + 1))

class RaisesWhenBuilt(nn.Module):
    def __init__(self, num_classes: int):
        raise ZeroDivisionError("no layer\\nat all")

class RaisesWhenCalled(nn.Module):
    def forward(self, inputs):
        raise ZeroDivisionError("no output\\nat all")
"""


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["epohcs=2"], "unknown key epohcs; did you mean epochs?"),
        (["++epohcs=2"], "unknown key epohcs; did you mean epochs?"),
        (["+optimizer.lrr=2"], "did you mean optimizer.lr?"),
        (["modle=fc"], "unknown key modle; did you mean model?"),
        (["model=fcc"], "model=fcc: no such option (model has "),
        (["epochs=ten"], "epochs=ten: must be int"),
        (["epochs=0"], "epochs=0: must be at least 1"),
        (["optimizer.lr=abc"], "optimizer.lr=abc: must be float"),
        (["optimizer.lr=-1"], "optimizer (torch.optim.Adam): Invalid learning rate: -1"),
        (["optimizer.amsgrad=true"], "add it as +optimizer.amsgrad=…"),
        (["batch_size=0"], "batch_size=0: must be at least 1"),
        (["seed=-1"], "seed=-1: must be at least 0"),
        (["threads=0"], "threads=0: must be at least 1"),
        (["clip_grad_norm=-1"], "clip_grad_norm=-1.0: must be at least 0"),
        (["precision=fp8"], "precision=fp8: is one of auto, fp32, bf16, fp64"),
        (["name=a/b"], "name=a/b: names a folder"),
        (["device=gpu"], "device=gpu: is one of auto, cpu, cuda, cuda:N, mps"),
        (
            ["dataset.val_size=1.5"],
            "val_size=1.5: expected a whole number from 0 (a count) or a number between 0 and 1",
        ),
        (["dataset.train_size=5000"], "dataset.train_size=5000: is 5000 images, more than the 1293"),
        (["dataset.image_size=0"], "image_size=0: expected a whole number from 1"),
        (["dataset.image_size=40", "model=lenet5", "~model.hidden"], "image_size=40: lenet5 takes 28 or 32 pixels"),
        (["dataset.augment.rotation=500"], "augment.rotation=500: expected degrees from 0 to 180"),
        (["dataset=mnist", "dataset.download=false"], "is missing; set dataset.download=true"),
        (["dataset=image_folder"], "dataset.root is missing: give it"),
        (["dataset=image_folder", "dataset.root=photos"], "dataset.root=photos: is no folder"),
        (["model.hidden=[0]"], "hidden=[0]: must be each at least 1"),
        (["model.dropout=1.5"], "dropout=1.5: must be at least 0 and below 1"),
        (["model.out_features=3"], "gives outputs (1, 3) for one sample; "),
        (["monitor.metric=test/accuracy"], "monitor.metric=test/accuracy: "),
        (["monitor.metric=val/acuracy"], "is one of val/loss, val/accuracy, train/loss, train/accuracy"),
        (
            ["dataset.val_size=0", "early_stopping.patience=3"],
            "early_stopping.patience=3 watches val/accuracy, but dataset.val_size=0 leaves no validation split",
        ),
        (
            ["dataset.val_size=0", "scheduler=plateau"],
            "dataset.val_size=0 leaves no validation split; set scheduler.metric",
        ),
        (["scheduler=plateau", "scheduler.metric=val/los"], "scheduler.metric=val/los: is one of"),
        (["scheduler=step", "scheduler.step_size=0"], "step_size=0: must be above 0"),
        (["resume=nowhere"], "=nowhere: holds no run"),
        (["resume=.."], "holds no run"),
    ],
)
def test_one_line_and_no_folder(overrides: list[str], says: str, door: Door, a_place_of_its_own: Path) -> None:
    line = door(*with_tiny(overrides)).refusal()
    assert says in line
    assert written(a_place_of_its_own) == []


def with_tiny(overrides: list[str]) -> list[str]:
    """The overrides on top of a tiny run, which keeps out of the way of what the test gives itself."""
    given = {override.lstrip("+").partition("=")[0] for override in overrides}
    tiny = [word for word in TINY if word.partition("=")[0] not in given]
    if "~model.hidden" in overrides:
        tiny.remove("model.hidden=[8]")
        return [*tiny, *(override for override in overrides if override != "~model.hidden")]
    return [*tiny, *overrides] if "resume" not in given else overrides


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_a_device_that_is_not_there(device: str, door: Door, a_place_of_its_own: Path) -> None:
    line = door(*with_tiny([f"device={device}"])).refusal()
    assert line.startswith(f"device={device}: ")
    assert line.endswith("use device=cpu")
    assert written(a_place_of_its_own) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "ElevenClasses",
            "model (own_nets.ElevenClasses) gives outputs (1, 11) for one sample; ",
        ),
        ("RaisesWhenBuilt", "model (own_nets.RaisesWhenBuilt): ZeroDivisionError: no layer"),
        ("RaisesWhenCalled", "model (own_nets.RaisesWhenCalled) cannot take inputs of shape (1, 1, 28, 28): no output"),
        ("ElevenClass", "model._target_=own_nets.ElevenClass: cannot be imported"),
    ],
)
def test_a_model_of_the_users_own(name: str, says: str, door: Door, a_place_of_its_own: Path) -> None:
    (a_place_of_its_own / "own_nets.py").write_text(OWN_NETS)
    line = door(f"model._target_=own_nets.{name}", "trust=[own_nets]", "epochs=1").refusal()
    assert line.startswith(says)
    assert written(a_place_of_its_own) == ["own_nets.py"]


@pytest.mark.parametrize("sweep", [[], ["-m"]])
def test_outputs_that_cannot_be_written(sweep: list[str], door: Door, a_place_of_its_own: Path) -> None:
    """A plain file stands where the folder should; permissions would not stop root."""
    (a_place_of_its_own / "outputs").write_text("mine")
    line = door(*sweep, *TINY, "name=n").refusal()
    assert line.startswith(f"cannot write to outputs/{'sweeps/n-' if sweep else 'runs/n/'}")
    assert written(a_place_of_its_own) == ["outputs"]
    assert (a_place_of_its_own / "outputs").read_text() == "mine"


def test_what_a_plus_adds(door: Door, a_place_of_its_own: Path) -> None:
    assert door(*TINY, "+optimizer.amsgrad=true").code == 0
    config = only(a_place_of_its_own.glob("outputs/runs/fc_digits/*/.hydra/config.yaml")).read_text()
    assert "amsgrad: true" in config


def test_as_a_process(process: Door, a_place_of_its_own: Path) -> None:
    assert process("epohcs=2").refusal() == "unknown key epohcs; did you mean epochs?"
    assert process("dataset.val_size=1.5").refusal().startswith("dataset (dlhw.dataset.digits.Digits): val_size=1.5: ")
    assert written(a_place_of_its_own) == []


def test_the_traceback_for_who_wants_it(process: Door, a_place_of_its_own: Path) -> None:
    outcome = process("epohcs=2", HYDRA_FULL_ERROR="1")
    assert outcome.code == 1
    assert outcome.err.startswith("Traceback (most recent call last):")
    assert outcome.err.rstrip().endswith("unknown key epohcs; did you mean epochs?")
    assert written(a_place_of_its_own) == []
