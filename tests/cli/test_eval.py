"""`dlhw-eval` gives an old run's figures exactly, changes none of its files, and refuses what it cannot use."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from outcomes import TINY, Outcome, only, written
from PIL import Image

import dlhw

Door = Callable[..., Outcome]
EPOCHS = [word for word in TINY if word != "epochs=1"] + ["epochs=3"]


@pytest.fixture
def folder(a_place_of_its_own: Path) -> Path:
    """Of a finished run, in a path as the user would type it."""
    return dlhw.run(*EPOCHS, "name=old").folder.relative_to(a_place_of_its_own)


@pytest.fixture
def evaluate(door: Door) -> Callable[..., Outcome]:
    return lambda *words: door(*words, program="dlhw-eval")


def hashes(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "evaluations"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def evaluation(folder: Path) -> dict[str, object]:
    return json.loads(only((folder / "evaluations").glob("*.json")).read_text())  # type: ignore[no-any-return]


def test_the_test_split(folder: Path, evaluate: Door) -> None:
    before = hashes(folder)
    outcome = evaluate(f"run={folder}")
    assert outcome.code == 0, outcome
    assert hashes(folder) == before
    results = json.loads((folder / "results.json").read_text())
    figures = {key: value for key, value in evaluation(folder).items() if key.startswith("test/")}
    assert {"test/loss", "test/accuracy"} <= set(figures)
    assert figures == {key: results[key] for key in figures}
    assert set(figures) == {key for key in results if key.startswith("test/")}
    assert f"test/accuracy {results['test/accuracy']}" in outcome.out


def test_the_validation_split(folder: Path, evaluate: Door) -> None:
    """Its figures are those of the row of the epoch whose weights were kept."""
    assert evaluate(f"run={folder}", "split=val").code == 0
    figures, results = evaluation(folder), json.loads((folder / "results.json").read_text())
    assert figures["epoch"] == results["best_epoch"]
    assert (figures["val/loss"], figures["val/accuracy"]) == (results["val/loss"], results["val/accuracy"])
    assert not [key for key in figures if key.startswith("test/")]


def test_each_evaluation_is_kept(folder: Path, evaluate: Door) -> None:
    assert evaluate(f"run={folder}", "checkpoint=last").code == 0
    assert evaluation(folder)["epoch"] == 3
    assert evaluate(f"run={folder}", "checkpoint=best").code == 0
    assert len(list((folder / "evaluations").iterdir())) == 2


@pytest.mark.parametrize("kind", ["last", "best_last"])
def test_whatever_checkpoints_were_kept(kind: str, evaluate: Door) -> None:
    run = dlhw.run(*EPOCHS, f"checkpoints={kind}", "optimizer.lr=0.05")
    assert evaluate(f"run={run.folder}").code == 0
    figures = evaluation(run.folder)
    assert (figures["epoch"], figures["test/loss"]) == (run.results["best_epoch"], run.results["test/loss"])


def test_images_of_the_users_own(folder: Path, evaluate: Door, a_place_of_its_own: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save("a.png")
    Image.fromarray(rng.integers(0, 256, (60, 40, 3), np.uint8)).save("b.jpg")
    before = written(a_place_of_its_own)
    outcome = evaluate(f"run={folder}", "images=[a.png,b.jpg]")
    assert outcome.code == 0, outcome
    lines = outcome.out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["a.png", "b.jpg"]
    for line in lines:
        answer, probability = line.partition(": ")[2].split(" ")
        assert answer in "0123456789"
        assert 10 <= float(probability.strip("(%)")) <= 100  # of the likeliest of ten classes
    assert written(a_place_of_its_own) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run=RUN", "spilt=val"], "unknown key spilt; did you mean split?"),
        (["run=RUN", "split=vla"], "split=vla: is one of test, val, train; did you mean val?"),
        (["run=RUN", "checkpoint=first"], "checkpoint=first: is one of auto, best, last"),
        (["run=RUN", "val"], "val: is not of the form key=value"),
        (["run=RUN", "device=gpu"], "device=gpu: is one of"),
        (["run=RUN", "images=[none.png]"], "none.png"),
        (["run=RUN", "images=[RUN/results.json]"], "results.json"),
        (["run=nowhere"], "=nowhere: holds no run"),
        (["run=outputs"], "=outputs: holds no run"),
        (["run=RUN", "images=3"], "images: "),
        ([], "run is missing"),
        (["split=val"], "run is missing"),
    ],
)
def test_bad_input(words: list[str], says: str, folder: Path, evaluate: Door, a_place_of_its_own: Path) -> None:
    before = written(a_place_of_its_own)
    assert says in evaluate(*(word.replace("RUN", str(folder)) for word in words)).refusal()
    assert written(a_place_of_its_own) == before


def test_a_run_without_validation(evaluate: Door) -> None:
    run = dlhw.run(*TINY, "dataset.val_size=0")
    assert "dataset.val_size=0" in evaluate(f"run={run.folder}", "split=val").refusal()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: None, "missing"),
        (lambda data: data[: len(data) // 2], "damaged"),
        (lambda data: b"", "damaged"),
        (lambda data: data[:9000] + bytes([data[9000] ^ 16]) + data[9001:], "damaged"),
    ],
    ids=["missing", "truncated", "empty", "flipped bit"],
)
def test_a_damaged_checkpoint(
    damage: Callable[[bytes], bytes | None], says: str, folder: Path, evaluate: Door, a_place_of_its_own: Path
) -> None:
    """last.pt has the best weights too: where best.pt alone is damaged, its figures are the same."""
    figures = evaluate(f"run={folder}", "checkpoint=best").out
    path, last = folder / "checkpoints/best.pt", folder / "checkpoints/last.pt"
    spoil(path, damage)
    again = evaluate(f"run={folder}", "checkpoint=best").out
    assert [line for line in figures.splitlines() if line.startswith("test/")] == [
        line for line in again.splitlines() if line.startswith("test/")
    ]
    assert ("last.pt has the best weights too" in again) == path.exists()
    spoil(last, damage)
    before = written(a_place_of_its_own)
    line = evaluate(f"run={folder}", "checkpoint=best").refusal()
    assert (str(path) if says == "missing" else str(last)) in line
    assert says in line
    assert written(a_place_of_its_own) == before


def spoil(path: Path, damage: Callable[[bytes], bytes | None]) -> None:
    damaged = damage(path.read_bytes())
    path.unlink()
    if damaged is not None:
        path.write_bytes(damaged)


def test_a_damaged_config(folder: Path, evaluate: Door) -> None:
    path = folder / ".hydra/config.yaml"
    path.write_text(path.read_text().replace("batch_size:", "bach_size:"))
    line = evaluate(f"run={folder}").refusal()
    assert line.startswith(f"{path}: ")
    assert "bach_size" in line


def test_as_a_process(folder: Path, process: Door) -> None:
    assert process(f"run={folder}", program="dlhw-eval").code == 0
    results = json.loads((folder / "results.json").read_text())
    assert evaluation(folder)["test/loss"] == results["test/loss"]
    assert process("rnu=x", program="dlhw-eval").refusal() == "unknown key rnu; did you mean run?"
