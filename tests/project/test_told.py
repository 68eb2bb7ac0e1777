"""What brings a message about: commands, and calls of what lies deeper, with the words that the user then reads."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from torch import nn

FUZZ = str(Path(__file__).parents[1] / "fuzz")
if FUZZ not in sys.path:
    sys.path.insert(0, FUZZ)

from fuzz_door import Case, call  # noqa: E402
from fuzz_files import saved  # noqa: E402
from fuzz_yaml import BOMB  # noqa: E402

from dlhw import evaluation, prepare  # noqa: E402
from dlhw.backend.functions import FUNCTIONS  # noqa: E402
from dlhw.backend.layers import NoTwin  # noqa: E402
from dlhw.backend.twin import steps_of, traced  # noqa: E402
from dlhw.config.compose import composed  # noqa: E402
from dlhw.config.shipped import hydra_session  # noqa: E402
from dlhw.config.targets import targets_in  # noqa: E402
from dlhw.dataset import cifar10, idx, pets  # noqa: E402
from dlhw.dataset.augment import Augment  # noqa: E402
from dlhw.dataset.image_folder import ImageFolder  # noqa: E402
from dlhw.dataset.sine import Sine  # noqa: E402
from dlhw.dataset.split import split  # noqa: E402
from dlhw.errors import UserError  # noqa: E402
from dlhw.folder import checkpoint  # noqa: E402
from dlhw.folder.record import Record  # noqa: E402
from dlhw.machine import choose_dtype  # noqa: E402
from dlhw.model.pretrained import read_weights  # noqa: E402
from dlhw.numpy_nn.loss import MSELoss  # noqa: E402
from dlhw.numpy_nn.shape import Add  # noqa: E402
from dlhw.report import write  # noqa: E402
from dlhw.report.claims import judge  # noqa: E402
from dlhw.sweep.watch import epochs_of  # noqa: E402


def files(**own: bytes) -> dict[str, bytes]:
    """Of a run that stopped, some of them others: config for .hydra/config.yaml, status for status.json, …"""
    names = {"config": "run/.hydra/config.yaml", "status": "run/status.json", "last": "run/checkpoints/last.pt"}
    return {**saved(), **{names[key]: content for key, content in own.items()}}


def without(name: str) -> dict[str, bytes]:
    return {key: content for key, content in saved().items() if key != name}


def preset(text: bytes) -> dict[str, bytes]:
    return {"my/experiment/mine.yaml": b"# @package _global_\n" + text}


ITSELF = OmegaConf.create({"model": {"part": "${loss}"}, "loss": {"part": "${model}"}})
SINE: dict[str, Any] = {
    "length": 50, "period": 10, "noise": 0, "window": 5, "in_features": 1, "out_features": 1, "seed": 0, "val_size": 2,
    "test_size": None,
}  # fmt: skip
MINE = ("--config-dir", "my", "experiment=mine")
RUN = {"run/.hydra/config.yaml": b"a: 1\n"}
COMMANDS = [
    ("dlhw ~model._target_", {}, "model has no _target_"),
    ("dlhw --config-dir my model=mine", {"my/model/mine.yaml": b"_target_: dlhw.model.lenet5.LeNet5\n"},
     "is missing: dlhw.model.lenet5.LeNet5 needs it, as in +model."),
    ("dlhw model=${hydra:nope}", {}, "model=${hydra:nope}: an option is chosen by its name, and ${hydra:…} gives none"),
    ("dlhw -m model=fc,${oc.env:HOME}", {}, "an option is chosen by its name, and ${oc.env:…} gives none"),
    ("dlhw model=[fc,lenet5]", {}, "an option is chosen by its name; to try several: -m model=fc,lenet5"),
    ("dlhw --resolve", {}, "--resolve: says how --cfg shows the config; add --cfg job"),
    ("dlhw -m hydra.mode=RUN", {}, "hydra.mode=RUN: beside -m, which sweeps; leave one of them out"),
    ("dlhw --cfg job --info", {}, "--cfg beside --info: each asks for something else; type one"),
    ("dlhw --cfg job --package modle", {}, "--cfg job shows no such part; did you mean model?"),
    ("dlhw --epochs=2", {}, "--epochs=2: no such flag; a key is typed without dashes, as in epochs=2"),
    ("dlhw --multirn", {}, "--multirn: no such flag; did you mean --multirun? (dlhw --help tells more)"),
    ("dlhw --cfg jobb", {}, "--cfg/-c: invalid choice: 'jobb'"),
    ("dlhw --config-name x", {}, "dlhw has one root config; options of your own lie in a folder: --config-dir FOLDER"),
    ("dlhw --experimental-rerun x", {}, "a run goes on by resume=FOLDER, and is judged again by dlhw-eval run=FOLDER"),
    ("dlhw --config-dir nowhere", {}, "is no folder; name one with options, as FOLDER/model/mine.yaml"),
    (MINE, preset(b"study: 3\n"), "study=3: holds a study's keys; choose one, as in study=NAME"),
    ("dlhw study.limit=2", {}, "study.limit=2: no study is chosen; add study=NAME"),
    (MINE, preset(b"x: 1\n" + BOMB), "its aliases (*name) unfold to more than 100,000 values; write it out"),
    (MINE, preset(b"hydra: {run: {dir: /somewhere}}\n"),
     "hydra.run.dir=/somewhere: stands in a file, and leads out of the folder that you stand in; type it"),
    (MINE, preset(b"hydra: {overrides: {task: [epochs=3]}}\n"),
     "hydra.overrides: stands in a file; overrides count only where they are typed"),
    ("dlhw hydra.launcher=3", {}, "hydra.launcher=3: holds a plugin's keys; choose one, as in hydra/launcher="),
    ("dlhw hydra.run=${hydra.sweep}", {}, "has keys of its own, which no interpolation can give"),
    ("dlhw hydra.verbose=3", {}, "hydra.verbose=3: is true, false, a logger's name or a list of names"),
    ("dlhw hydra.launcher._target_=mine.X", {}, "is no plugin of Hydra's that dlhw knows; if mine is yours, add"),
    (MINE, preset(b"hydra: {sweeper: {params: {trust: '[a]'}}}\n"),
     "trust counts only where it is typed, as trust=[mynets]"),
    ("dlhw data_dir=${oc.env:HOME}", {}, "a config cannot read the environment; type the value, as in data_dir"),
    ("dlhw model._target_=shutil.rmtree", {}, "model._target_=shutil.rmtree: shutil is Python's own; "),
    ("dlhw dry_run=true", {}, "dry_run=true: plans a sweep (-m, study=, seeds=), and this is one run; "
                              "dlhw --cfg job shows its config"),
    ("dlhw -m model=fc seed=range(1000) seeds=100", {}, "the sweep has 1e+05 runs, more than 10,000; sweep over fewer"),
    ("dlhw resume=run", without("run/checkpoints/last.pt"), "there is no checkpoints/last.pt to go on from"),
    ("dlhw resume=run epochs=1", saved(), "run was planned for 2; in a resumed run they can only rise"),
    ("dlhw resume=run", files(status=b"[]"), "run/status.json is damaged: it holds no mapping of names to values"),
    ("dlhw resume=run", files(config=b"[a]\n"), "run/.hydra/config.yaml: holds no mapping of keys to values"),
    ("dlhw resume=run", files(config=b"trust: [mynets]\n"),
     "trust=[mynets]: stands in a file, and counts only where you type it: if it is yours, add trust=[mynets]"),
    ("dlhw-eval run=run images=[a.png] export=b", saved(), "beside images: each asks for something else; type one"),
    ("dlhw-report", {}, "which runs? Name folders, as in dlhw-report outputs (dlhw-report --help tells more)"),
    ("dlhw-report --diff run run", {**RUN, "run/checkpoints/last.pt": b"x"},
     "last.pt is damaged or truncated, or no checkpoint of dlhw's"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "around", "says"), COMMANDS, ids=lambda value: None)
def test_a_command(line: str | tuple[str, ...], around: dict[str, bytes], says: str) -> None:
    program, *words = line.split(" ") if isinstance(line, str) else ("dlhw", *line)
    outcome = call(Case(program, tuple(words), around))
    assert says in outcome.err
    assert (outcome.code, outcome.err.count("\n"), outcome.written) == (2, 1, [])


def test_a_schedule_as_long_as_its_run() -> None:
    config = saved()["run/.hydra/config.yaml"].replace(b"schedule.none", b"schedule.cosine")
    outcome = call(Case("dlhw", ("resume=run", "epochs=5"), files(config=config)))
    assert (
        "epochs=5: scheduler cosine spans the 2 epochs that run was planned for, so they cannot be raised; start a"
        in (outcome.err)
    )


def test_trials_that_watch_different_figures() -> None:
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    words = ("-m", "hydra/sweeper=optuna", "model=fc", "monitor.metric=val/loss,val/accuracy", "device=cpu")
    says = "and others val/accuracy (max), which do not compare; set monitor.metric"
    assert says in call(Case("dlhw", words)).err


class EndDim(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.flatten(x, 1, 2)


class SecondOutput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(1, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.rnn(x)[1]
        return states


def asked(**keys: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"run": "run", "split": "val", "images": ["a.png"], "checkpoint": "auto", "device": "cpu",
                              "data_dir": None, "trust": [], "export": None, **keys})  # fmt: skip


def numpy_step(module: nn.Module) -> None:
    steps_of(traced(module), type(module).__name__)


def padded() -> None:
    pad = next(function for function in FUNCTIONS.values() if function.__name__ == "pad")
    pad(None, (1, 1), mode="reflect")


def trimap(folder: Path, value: int, size: int = 4) -> tuple[Path, Path]:
    Image.new("RGB", (4, 4)).save(folder / "a.jpg")
    Image.new("L", (size, size), value).save(folder / "a.png")
    return folder / "a.jpg", folder / "a.png"


def folder_of_classes(folder: Path) -> str:
    (folder / "cat").mkdir()
    return str(folder)


def images_of(root: str, classes: list[str] | None = None) -> ImageFolder:
    facts = {"in_channels": 1, "image_size": 4, "num_classes": None, "in_features": 16}
    return ImageFolder(root=root, classes=classes, seed=0, val_size=0, cache_dir=None, **facts)  # type: ignore[arg-type]


def no_trimap(folder: Path) -> None:
    def decode(*args: Any) -> None:
        raise OSError("not an image")

    own = SimpleNamespace(_image=str, _trimap=str, in_channels=3, image_size=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pets, "decode_pair", decode)
        pets.Pets._decode(own, "a")  # type: ignore[arg-type]


def one_set() -> None:
    split(np.zeros(9, np.int64), None, train_size=3, val_size=2, test_size=None, sampling="stratified", seed=0)


def content_of_another(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "is_whole", lambda path: False)
        checkpoint.load(written(folder, "last.pt", b"x"), torch.device("cpu"))


def archive_without_it(folder: Path, module: Any, made: Callable[[Path], Any], read: Callable[[Any], Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "fetch", lambda *args, **kwargs: None)
        read(made(folder))


def cifar_of(folder: Path) -> Any:
    own = SimpleNamespace(folder=folder / "batches", download=True, _remote=lambda: None)
    own._wrong = partial(cifar10.CIFAR10._wrong, own)
    return own


def pets_of(folder: Path) -> Any:
    own = SimpleNamespace(folder=folder, download=True, _remote=lambda name: None)
    own._wrong = partial(pets.Pets._wrong, own)
    return own


def photographs(file: Path, own: Any) -> None:
    pets.Pets._have(own, "images", [file])


def plateau(folder: Path) -> None:
    with hydra_session() as session:
        words = ("model=fc", "scheduler._target_=torch.optim.lr_scheduler.ReduceLROnPlateau", "device=cpu")
        prepare.prepare(composed([*session, *words]))


def no_val(folder: Path) -> None:
    with hydra_session() as session:
        prepare.prepare(composed([*session, "model=fc", "scheduler=plateau", "dataset.val_size=0", "device=cpu"]))


def written(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def report_into_a_file(folder: Path) -> None:
    written(folder, "notes", b"")
    page = SimpleNamespace(folder=folder / "notes")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("summary_csv", "summary_md", "summary_tex"):
            patch.setattr(write, name, lambda report: "")
        patch.setattr(write, "drawn", lambda report: {})
        patch.setattr("dlhw.report.page.page", lambda *args: "")
        write.write(page)  # type: ignore[arg-type]


def bf16_on_an_old_gpu(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
        choose_dtype("bf16", torch.device("cuda"))


def test_a_run_on_other_tasks_or_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of evaluation, whose runs are made up here."""
    config = SimpleNamespace(dataset=SimpleNamespace(task="regression"), logger=None)
    monkeypatch.setattr(evaluation, "run_config", lambda *args: (config, {}))
    with pytest.raises(UserError, match="run was not trained to tell classes of images"):
        evaluation.classify(asked())
    experiment = SimpleNamespace(splits=SimpleNamespace(val=None))
    monkeypatch.setattr(evaluation, "prepare", lambda *args, **kwargs: experiment)
    with pytest.raises(UserError, match=r"trained with dataset.val_size=0; it has the splits test and train"):
        evaluation.evaluate(asked())
    with pytest.raises(UserError, match=r"images: a.png: cannot be read as an image: "):
        evaluation.read_image(tmp_path / "a.png" and "a.png", 1, 8)


def test_what_fails_on_two_samples() -> None:
    def broken(*args: Any) -> None:
        raise ZeroDivisionError("no loss")

    with hydra_session() as session:
        experiment = prepare.prepare(composed([*session, "model=fc", "model.hidden=[4]", "device=cpu", "plots=none"]))
    experiment.trainer.loss_fn = broken
    with pytest.raises(UserError, match=r"model \(dlhw.model.fc.FC\) and loss \(.*\) fail on two samples: no loss"):
        prepare.rehearse(experiment.trainer, experiment.config)


CALLS: list[tuple[Callable[[Path], Any], type[Exception], str]] = [
    (lambda folder: numpy_step(EndDim()), UserError, "EndDim has flatten with end_dim"),
    (lambda folder: numpy_step(SecondOutput()), UserError, "the second output of an RNN, which has no NumPy twin"),
    (lambda folder: padded(), NoTwin, "pad with mode"),
    (lambda folder: checkpoint.load(folder / "last.pt", torch.device("cpu")), UserError,
     "last.pt is missing: the run kept no such checkpoint"),
    (lambda folder: Augment(crop_padding=-1), ValueError, "-1: expected a whole number of pixels, from 0"),
    (lambda folder: Augment(flip="yes"), ValueError, "augment.flip=yes: expected true or false"),
    (lambda folder: idx.read_bytes(written(folder, "a.gz", b"x").with_name("a")), idx.IdxError,
     "found a broken gzip file (a.gz: "),
    (lambda folder: images_of(folder_of_classes(folder), classes=["dog"]).read(), UserError,
     "has ['cat']; choose the folder that was trained on"),
    (lambda folder: images_of(str(folder / "nowhere")), UserError, "; expected a folder for each class"),
    (lambda folder: pets.decode_pair(*trimap(folder, 7), 3, 4), ValueError,
     "the trimap has values 7 to 7, expected 1 to 3"),
    (lambda folder: archive_without_it(folder, cifar10, cifar_of, cifar10.CIFAR10.read), UserError,
     "is missing, and cifar-10-python.tar.gz does not have it; "),
    (lambda folder: archive_without_it(folder, pets, pets_of, partial(photographs, folder / "a")), UserError,
     "a: is missing, and images.tar.gz does not have it; "),
    (lambda folder: judge({"rises": "table"}, {}), UserError, "a claim's check rises: table: needs "),
    (no_trimap, UserError, "cannot be used (not an image); delete both to have them unpacked or downloaded again"),
    (lambda folder: list(targets_in(ITSELF.model, "model")), UserError, "a part of it is the part itself"),
    (lambda folder: one_set(), ValueError, "test_size=None: this set has no test images of its own"),
    (content_of_another, UserError, "is damaged or truncated: its content does not match its sha256"),
    (lambda folder: pets.decode_pair(*trimap(folder, 1, 5), 3, 4), ValueError, "sizes (4, 4) and (5, 5) differ"),
    (lambda folder: Sine(**SINE), ValueError, "test_size=None: expected a count or a fraction"),
    (lambda folder: choose_dtype("fp64", torch.device("mps")), UserError, "precision=fp64: Metal has no float64; use"),
    (bf16_on_an_old_gpu, UserError, "precision=bf16: this CUDA device has no bfloat16; use precision=fp32"),
    (lambda folder: read_weights(str(written(folder, "w.pt", b"x")), {}, "net"), UserError,
     "w.pt: not a file of torch.save"),
    (lambda folder: MSELoss().forward(np.ones((2, 1)), np.ones(2)), ValueError,
     "MSELoss takes outputs and targets of one shape, not (2, 1) and (2,)"),
    (lambda folder: Add().forward(np.ones(2), np.ones(3)), ValueError, "Add takes arrays of one shape, not (2,), (3,)"),
    (plateau, UserError, "torch's ReduceLROnPlateau needs a metric to watch: use scheduler=plateau"),
    (no_val, UserError, "leaves no validation split; set scheduler.metric=train/loss or dataset.val_size"),
    (lambda folder: Record(written(folder, "notes", b"") / "x"), UserError, "stand elsewhere, or set hydra.run.dir"),
    (report_into_a_file, UserError, "the report cannot be written to "),
    (lambda folder: epochs_of(written(folder, "x", b"") and made(folder)), ValueError, "no epochs"),
]  # fmt: skip


def made(folder: Path) -> Path:
    (folder / ".hydra").mkdir()
    written(folder, ".hydra/config.yaml", b"a: 1\n")
    return folder


@pytest.mark.parametrize(("run", "kind", "says"), CALLS, ids=lambda value: value if isinstance(value, str) else None)
def test_a_call(run: Callable[[Path], Any], kind: type[Exception], says: str, tmp_path: Path) -> None:
    with pytest.raises(kind) as refused:
        run(tmp_path)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
