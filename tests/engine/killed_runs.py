"""Runs in processes of their own, which kill themselves at a chosen moment, or wait to be told to go on."""

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

from small_runs import TINY, run

CONTEXT = multiprocessing.get_context("forkserver")  # imports torch once, and forks before any thread is started
CONTEXT.set_forkserver_preload(["dlhw.one_run", "sklearn.datasets"])

PATIENCE_NEVER_USED_UP = "early_stopping.patience=50"
EVERYTHING_RANDOM = (
    *TINY,
    "model=lenet5",
    "model.batchnorm=true",
    "model.dropout=0.3",
    "dataset.augment.crop_padding=2",
    "dataset.augment.flip=true",
    "dataset.augment.rotation=15",
    "dataset.normalize=channel",
    "optimizer.lr=0.01",
    "scheduler=step",
    "scheduler.interval=step",
    "scheduler.step_size=7",
    "scheduler.gamma=0.8",
    "batch_size=40",
    "epochs=5",
    PATIENCE_NEVER_USED_UP,
)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_after_last(epoch: int) -> None:
    """Right after the epoch's last.pt."""
    from dlhw.folder import checkpoint

    save = checkpoint.save

    def save_and_die(path: Path, state: dict[str, Any], keep: Path | None = None) -> None:
        save(path, state, keep)
        if path.name == "last.pt" and state["epoch"] == epoch:
            die()

    checkpoint.save = save_and_die


def die_between_best_and_last(epoch: int) -> None:
    """After a best.pt, from this epoch on, and before its last.pt."""
    from dlhw.folder import checkpoint

    save = checkpoint.save

    def save_and_die(path: Path, state: dict[str, Any], keep: Path | None = None) -> None:
        save(path, state, keep)
        if path.name == "best.pt" and state["epoch"] >= epoch:
            die()

    checkpoint.save = save_and_die


def die_in_the_middle_of_last(epoch: int) -> None:
    """With half of the epoch's last.pt written to the temporary file."""
    from dlhw.folder import checkpoint

    save = checkpoint.torch.save

    def half(state: dict[str, Any], path: Path) -> None:
        save(state, path)
        if state["epoch"] == epoch and "optimizer" in state:
            whole = path.read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
            die()

    checkpoint.torch.save = half


def die_before_the_checkpoint(epoch: int) -> None:
    """With the epoch's row written, its checkpoint not begun."""
    from dlhw.folder.checkpoint import Checkpoints

    keep = Checkpoints.keep

    def die_or_keep(self: Checkpoints, trainer: Any, *args: Any) -> None:
        if trainer.epoch == epoch:
            die()
        keep(self, trainer, *args)

    Checkpoints.keep = die_or_keep


def die_in_the_middle_of_steps(epoch: int) -> None:
    """With a line and a half of the epoch's steps in steps.csv."""
    from dlhw.folder.record import Record

    write_row = Record.row

    def die_or_write(self: Record, row: dict[str, float]) -> None:
        if row["epoch"] == epoch:
            with (self.folder / "steps.csv").open("a") as file:
                file.write(self._steps[0] + self._steps[1][:5])
            die()
        write_row(self, row)

    Record.row = die_or_write


def die_at_the_start_of_steps(epoch: int) -> None:
    """With steps.csv made, and less than its header in it."""
    from dlhw.folder.record import Record

    def die_at_once(self: Record, row: dict[str, float]) -> None:
        (self.folder / "steps.csv").write_text("step,ep" if epoch == 1 else "")
        die()

    Record.row = die_at_once


def die_before_results(epoch: int) -> None:
    """All epochs are done and arrays.npz is written."""
    from dlhw.folder.record import Record

    Record.results = lambda self, results: die()


MOMENTS = {
    function.__name__: function
    for function in (
        die_after_last,
        die_between_best_and_last,
        die_in_the_middle_of_last,
        die_before_the_checkpoint,
        die_in_the_middle_of_steps,
        die_at_the_start_of_steps,
        die_before_results,
    )
}


def _train_and_die(folder: Path, overrides: tuple[str, ...], moment: str, epoch: int) -> None:
    os.chdir(folder.parent)
    MOMENTS[moment](epoch)
    run(folder, *overrides)


def killed_run(folder: Path, overrides: tuple[str, ...], moment: str, epoch: int) -> None:
    """Train in `folder` until the moment comes; the process is gone by SIGKILL when this returns."""
    process = CONTEXT.Process(target=_train_and_die, args=(folder, overrides, moment, epoch))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL


def _train_and_wait(folder: Path, overrides: tuple[str, ...], begun: Any, go_on: Any) -> None:
    from dlhw.folder.checkpoint import Checkpoints

    os.chdir(folder.parent)
    keep = Checkpoints.keep

    def keep_and_wait(self: Checkpoints, *args: Any) -> None:
        keep(self, *args)
        begun.set()
        go_on.wait(60)

    Checkpoints.keep = keep_and_wait
    run(folder, *overrides)


def waiting_run(folder: Path, overrides: tuple[str, ...]) -> tuple[Any, Any]:
    """A process that trains in `folder` and waits after its first checkpoint, until the event is set."""
    begun, go_on = CONTEXT.Event(), CONTEXT.Event()
    process = CONTEXT.Process(target=_train_and_wait, args=(folder, overrides, begun, go_on))
    process.start()
    assert begun.wait(120)
    return process, go_on
