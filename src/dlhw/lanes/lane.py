"""One lane: a run like any other, with its own folder, log and random numbers, that trains in step with others."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dlhw.config.saved import load_config
from dlhw.errors import UserError, lacks_memory
from dlhw.folder.provenance import note_data
from dlhw.folder.record import Record
from dlhw.jobs import taken_up
from dlhw.lanes.dropout import Generators
from dlhw.lanes.objective import described
from dlhw.one_run import announce, finish, logged, stops_early, take
from dlhw.process import cores
from dlhw.progress import tell

log = logging.getLogger("dlhw")


class Lane:
    """A planned run, from its last checkpoint to its end. Whatever breaks it off is its own affair."""

    def __init__(self, folder: Path, on_error: str, trust: Sequence[str] = ()) -> None:
        """Hold the folder and prepare; `ended` where either failed. on_error: "stop" begins none after a failure."""
        self.record = Record(folder)
        self.on_error = on_error
        self.ended = False
        self.held = ExitStack()
        try:
            self.held.enter_context(self.record.locked(wait=60))
        except UserError:  # another process trains this run, and will say how it ended
            self.end()
            return
        with self.doing():
            self.record.status("running")
            self.threads = load_config(folder, trust).threads  # as typed
            self.experiment, self.checkpoints = taken_up(self.record, cores(), trust)
            self.trainer, self.config = self.experiment.trainer, self.experiment.config
            self.generators = Generators(self.trainer.device)
            self.log_row = self.held.enter_context(logged(self.experiment, folder))

    @contextmanager
    def doing(self) -> Iterator[None]:
        """What is done in this lane's name: its log has the lines, and an error ends it, and goes no further.

        But for a lack of memory, which is that of all lanes together: see train.py.
        """
        try:
            with self.record.logged(), self.record.told():
                yield
        except Exception as error:  # its traceback is in status.json
            if lacks_memory(error):
                self.held.close()
                raise
            if self.on_error == "stop":
                (self.record.folder.parent / ".stop").touch()
            self.end()

    def place(self) -> tuple[object, ...]:
        """Equal for lanes that can be trained together: where they stand, their net, the sizes of their splits."""
        trainer, splits = self.trainer, self.experiment.splits
        sizes = [None if split is None else len(split) for split in (splits.train, splits.val, splits.test)]
        return (trainer.epoch, trainer.step, *sizes, *described(trainer.model))

    def begin(self, lanes: int, threads: int) -> None:
        """Say what is about to be trained, beside how many others."""
        self.began, self.epoch_before = time.perf_counter(), self.trainer.epoch
        self.experiment.lanes = lanes
        self.config.threads = self.experiment.threads = threads
        with self.doing():
            self.record.config(self.config)
            note_data(self.record.folder, self.experiment.data)
            announce(self.experiment, self.record)
            log.info("one of %d lanes that train as one program; seconds are those of all of them", lanes)
            self.finish_if_done()

    def trained(self, losses: list[float], sizes: list[int], last_pass: int, figures: dict[str, float]) -> None:
        """Take in the passes since the last row, as loop.py has them; a loss that is not finite ends the lane."""
        with self.doing():
            self.trainer.steps.loss = losses
            self.train = self.trainer.figures(sizes, last_pass, figures)

    def row(self, seconds: float, val: dict[str, float], test: dict[str, float]) -> None:
        """Put down what these passes have brought; finish after the last."""
        with self.doing():
            self.generators.make_global()  # for the checkpoint
            row = self.trainer.row(self.train, seconds, val) | test
            take(row, self.experiment, self.record, self.checkpoints)
            self.log_row(row)
            epochs, done = self.config.epochs, self.trainer.epoch - self.epoch_before
            tell(row, epochs, (time.perf_counter() - self.began) / done * (epochs - self.trainer.epoch))
            self.finish_if_done()

    def finish_if_done(self) -> None:
        if self.trainer.epoch >= self.config.epochs or stops_early(self.experiment.monitor):
            finish(self.experiment, self.record, self.checkpoints)
            self.record.status("finished")
            self.end()

    def fail(self, error: Exception) -> None:
        """Of what happened to all lanes."""
        with self.doing():
            raise error

    def interrupt(self) -> None:
        if not self.ended:
            self.record.status("interrupted")
            self.end()

    def end(self) -> None:
        self.ended = True
        self.held.close()
