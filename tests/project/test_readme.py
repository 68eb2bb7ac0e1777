"""Every command of the README runs, shortened; files and images that it names exist; its tour names real files."""

import re
import shlex
import sys
import warnings
from math import prod
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlhw import cli, eval_cli, report_cli
from dlhw.config.compose import composed
from dlhw.config.shipped import hydra_session
from dlhw.dataset import mnist
from dlhw.sweep.preflight import Expectation

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SHORT = ["epochs=1", "limit_batches=1", "batch_size=8", "plots=none", "threads=1"]
FEW_IMAGES = ["dataset.train_size=20", "dataset.val_size=4", "dataset.test_size=4"]
HERE = ["hydra/launcher=basic"]
# What is only composed: presets and studies whose files would have to be made up, and a launcher that wants a cluster.
ELSEWHERE = ("cifar10/(?!two_layer_toy)", "pets", "two_layer_cifar10", "vgg16_resnet50", "submitit")


def commands() -> list[str]:
    """The dlhw commands of the shell blocks and of the table of presets."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    table = re.findall(r"^\| `(dlhw[^`]*)` \|", README, re.MULTILINE)
    return [*dict.fromkeys(line for line in [*lines, *table] if line.startswith("dlhw"))]


@pytest.fixture
def playground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with small files in the form of every set, module and picture that the README names."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("MNIST", "FashionMNIST"):
        monkeypatch.setitem(mnist.MD5, name, write_idx(tmp_path / "data" / name / "raw", rng))
    for split in ("train", "test"):
        for kind in ("cat", "dog"):
            folder = tmp_path / "data" / "cifar10-jpeg" / split / kind
            folder.mkdir(parents=True)
            for index in range(20):
                Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{index}.jpg")
    for name in ("a.png", "b.png"):
        Image.fromarray(rng.integers(0, 256, (40, 30), np.uint8)).save(tmp_path / name)
    (tmp_path / "mynets.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, num_classes, width=8):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(784, width), nn.Tanh(), nn.Linear(width, num_classes))\n"
    )
    mine = tmp_path / "my" / "model" / "mine.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text(re.search(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)[1])  # type: ignore[index]
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "mynets", raising=False)
    return tmp_path


def write_idx(folder: Path, rng: np.random.Generator) -> tuple[str, ...]:
    """Four idx files, as large as the presets ask for at least; returns their md5."""
    import hashlib
    import struct

    folder.mkdir(parents=True)
    hashes = []
    for name, n in zip(mnist.FILES, (5000, 5000, 1000, 1000), strict=True):
        if "images" in name:
            content = struct.pack(">IIII", 2051, n, 28, 28) + rng.integers(0, 256, n * 784, np.uint8).tobytes()
        else:
            content = struct.pack(">II", 2049, n) + (np.arange(n) % 10).astype(np.uint8).tobytes()
        (folder / name).write_bytes(content)
        hashes.append(hashlib.md5(content).hexdigest())
    return tuple(hashes)


def type_command(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", words)
    {"dlhw": cli.main, "dlhw-eval": eval_cli.main, "dlhw-report": report_cli.main}[words[0]]()


def shortened(command: str) -> list[str]:
    """The command's words, with what makes it quick: little training, sweeps in this process, long studies planned."""
    words = shlex.split(command.replace("n_trials=30", "n_trials=2"))
    if words[1:] in (["--help"], ["--cfg", "job"]):
        return words
    if "study=" in command:
        return [*words, "plots=none", *([*SHORT, *HERE] if words[1:] == ["study=xor"] else ["dry_run=true"])]
    own = [] if "experiment=" in command else ["dataset.val_size=10"]
    own += FEW_IMAGES if "experiment=segmentation/canvas" in command else []
    return [*words, *SHORT, *own, *(HERE if "-m" in words else [])]


def runs_of(command: str) -> int | None:
    """How many runs the shortened command trains; None where that is not for this test to say."""
    if "dry_run" in command or ("study=" in command and command != "dlhw study=xor"):
        return 0
    if "study=" in command:
        return None
    if "optuna" in command:
        return 2
    swept = [word.partition("=")[2] for word in shlex.split(command) if re.fullmatch(r"[\w.]+=[^\[]*,.*", word)]
    seeds = re.search(r"seeds=(\d+)", command)
    return prod(len(values.split(",")) for values in swept) * int(seeds[1] if seeds else 1)


@pytest.mark.parametrize("command", commands())
def test_command_runs(command: str, playground: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if of_old_runs(command):
        type_command(["dlhw", *SHORT], monkeypatch)
        run = next(playground.glob("outputs/runs/*/*"))
        type_command(shlex.split(command.replace("outputs/runs/NAME/TIME", str(run))), monkeypatch)
    elif any(re.search(f"(experiment|study|dataset|launcher)=\\S*{name}", command) for name in ELSEWHERE):
        words = [word for word in shlex.split(command)[1:] if word != "-m" and not re.fullmatch(r"seed=.*,.*", word)]
        with hydra_session() as session:
            composed([*session, *words])
    else:
        if runs_of(command) == 0:  # a plan: what it would take is measured in tests/cli/test_sweeps.py
            monkeypatch.setattr("dlhw.sweep.whole.expected", lambda configs: Expectation([1.0] * len(configs), 0))
        with warnings.catch_warnings():
            if "optuna" in command:
                warnings.simplefilter("ignore")  # its own age
            type_command(shortened(command), monkeypatch)
        trained = len(list(playground.glob("outputs/**/results.json")))
        assert trained == runs_of(command) or (runs_of(command) is None and trained)


def of_old_runs(command: str) -> bool:
    return "NAME/TIME" in command or command == "dlhw-report outputs"


def test_the_readme_has_its_commands() -> None:
    """The extraction above is not empty by mistake."""
    found = commands()
    assert "dlhw" in found
    assert sum("experiment=" in command for command in found) >= 4
    assert any(command.startswith("dlhw-eval") for command in found)


def test_python_block_runs(playground: Path, capsys: pytest.CaptureFixture[str]) -> None:
    block = re.search(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert block is not None
    exec(block[1], {})
    assert "outputs/runs/fc_digits" in capsys.readouterr().out


def test_make_commands_exist() -> None:
    targets = re.findall(r"^make (\w+)", README, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert targets == ["run", "test"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in [*targets, "bench"])


def test_links_and_images_exist() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    assert len(links) >= 4
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_presets_are_all_in_the_table() -> None:
    presets = {p.relative_to(ROOT / "conf" / "experiment").with_suffix("").as_posix()
               for p in (ROOT / "conf" / "experiment").rglob("*.yaml")}  # fmt: skip
    assert presets == set(re.findall(r"^\| `dlhw experiment=([\w/]+)` \|", README, re.MULTILINE))


def test_the_tour_names_every_file() -> None:
    tour = README[README.index("## A tour of the files") :]
    tour = tour[: tour.index("## Adding a model")]
    modules = {path.name for path in (ROOT / "src" / "dlhw").glob("[!_]*.py")} - {"errors.py"}
    assert [name for name in sorted(modules) if name not in tour] == []
    folders = {path.name for path in (ROOT / "src" / "dlhw").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert [name for name in sorted(folders) if f"{name}/" not in tour] == []
