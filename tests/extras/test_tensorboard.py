"""`logger=tensorboard`: every figure of metrics.csv, once an epoch, also after a resume."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from outcomes import TINY, Outcome, only, written

pytest.importorskip("tensorboard", reason="pip install 'dlhw[track]'")
Door = Callable[..., Outcome]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Step and value of every point, as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def expected(folder: Path) -> dict[str, list[tuple[int, float]]]:
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {
        key: [(int(row["epoch"]), pytest.approx(float(row[key]), rel=1e-6)) for row in rows]
        for key in rows[0] if key != "epoch"
    }  # fmt: skip


def test_figures_by_epoch_and_after_a_resume(door: Door, a_place_of_its_own: Path) -> None:
    assert door(*TINY, "epochs=2", "logger=tensorboard", "hydra.run.dir=run").code == 0
    assert scalars(Path("run")) == expected(Path("run"))
    assert door("resume=run", "epochs=4").code == 0
    found = scalars(Path("run"))
    assert found == expected(Path("run"))
    assert [step for step, _ in found["val/accuracy"]] == [1, 2, 3, 4]


def test_epochs_beyond_the_checkpoint_are_taken_back(door: Door, a_place_of_its_own: Path) -> None:
    """As after a kill between an epoch's row and its checkpoint: the points of that epoch come once, the later ones."""
    from dlhw.logger.tensorboard import TensorBoard

    for after, value in ((0, 0.1), (1, 0.2)):
        with TensorBoard().writing(a_place_of_its_own, after, "seed: 0") as row:
            for epoch in (after + 1, after + 2):
                row({"epoch": epoch, "train/loss": value})
    points = [(1, pytest.approx(0.1)), (2, pytest.approx(0.2)), (3, pytest.approx(0.2))]
    assert scalars(a_place_of_its_own) == {"train/loss": points}


def test_the_config_is_there_as_text(a_place_of_its_own: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from dlhw.logger.tensorboard import TensorBoard

    with TensorBoard().writing(a_place_of_its_own, 0, "seed: 3\nmodel:\n  hidden: 8\n"):
        pass
    events = EventAccumulator(str(a_place_of_its_own / "tensorboard")).Reload()
    text = events.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert text == "    seed: 3\n    model:\n      hidden: 8\n"


def test_without_tensorboard(door: Door, a_place_of_its_own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert door(*TINY, "logger=tensorboard").refusal().endswith("pip install 'dlhw[track]'")
    assert written(a_place_of_its_own) == []
    monkeypatch.delitem(sys.modules, "dlhw.logger.tensorboard", raising=False)
    assert door(*TINY, "hydra.run.dir=run").code == 0
    assert "dlhw.logger.tensorboard" not in sys.modules


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["logger=tensorbord"], "did you mean tensorboard?"),
        (["logger=tensorboard", "+logger.flush=3"], "unknown key logger.flush"),
        (["logger=5"], "an option is chosen by its name, not by a value (int)"),
    ],
)
def test_its_keys_are_checked(words: list[str], says: str, door: Door, a_place_of_its_own: Path) -> None:
    assert says in door(*TINY, *words).refusal()
    assert written(a_place_of_its_own) == []


def test_it_is_no_part_of_a_runs_identity(door: Door, a_place_of_its_own: Path) -> None:
    assert door("-m", *TINY, "seed=0", "hydra/launcher=basic").code == 0
    again = door("-m", *TINY, "seed=0", "hydra/launcher=basic", "logger=tensorboard")
    assert "1 done already, 0 to train" in again.out
    only(a_place_of_its_own.glob("outputs/sweeps/*"))
