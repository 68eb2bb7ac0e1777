"""Rows as TensorBoard reads them. tensorboard itself is an extra, imported when a run asks for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dlhw.errors import UserError


class TensorBoard:
    """Every figure of a row as a scalar by epoch, and the config as text, under the run's tensorboard/."""

    def __init__(self) -> None:
        """Raises UserError where tensorboard is not installed."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UserError("logger=tensorboard: tensorboard is not installed: pip install 'dlhw[track]'") from error
        self.writer = SummaryWriter

    @contextmanager
    def writing(self, folder: Path, epoch: int, config: str) -> Iterator[Callable[[dict[str, float]], None]]:
        """What takes the rows of a run that goes on after `epoch`; what an earlier sitting wrote beyond it is void."""
        first = epoch + 1
        with self.writer(str(folder / "tensorboard"), purge_step=first) as writer:
            writer.add_text("config", indented(config), first)

            def row(figures: dict[str, float]) -> None:
                for name, value in figures.items():
                    if name != "epoch":
                        writer.add_scalar(name, value, int(figures["epoch"]))
                writer.flush()  # a run that is killed leaves what its metrics.csv has

            yield row


def indented(text: str) -> str:
    """A code block, in the Markdown that TensorBoard shows text by."""
    return "".join(f"    {line}\n" for line in text.splitlines())
