"""One run by several processes ("ranks"), as `torchrun` starts them: each takes its part of every batch.

Every rank holds the whole model, and torch's DistributedDataParallel makes the mean of their gradients. Nothing here
imports torch before there is more than one rank.
"""

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from dlhw.errors import RunFailed, UserError, in_a_line
from dlhw.process import cores

if TYPE_CHECKING:
    from torch import Tensor, device, nn

    from dlhw.distributed.lifeline import Lifeline


class Batch(NamedTuple):
    """A rank's part of a batch."""

    inputs: "Tensor"
    targets: "Tensor"
    size: int  # samples of the whole batch
    weight: float  # of this part's loss in the mean of the ranks', 1 in a fair share; 0: a sample that is another's


@dataclass(frozen=True)
class Ranks:
    """Which of them this process is. Ranks() is alone: it sums nothing, waits for nobody, and is the first."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0  # of those on this machine
    local_world_size: int = 1
    lifeline: "Lifeline | None" = field(default=None, compare=False)

    @property
    def alone(self) -> bool:
        return self.world_size == 1

    def batches(
        self, split: Any, batch_size: int, *generators: Any, summed: bool = False, done: int = 0
    ) -> Iterator[Batch]:
        """This rank's part of each of the split's batches, but for the first ones that are `done`.

        summed: a loss is a sum over samples, not a mean.
        """
        if self.alone and not done:
            for inputs, targets in split.batches(batch_size, *generators):
                yield Batch(inputs, targets, len(targets), 1.0)
            return
        from dlhw.dataset.shard import Shard

        shard, left = Shard(self.rank, self.world_size, done), len(split) - done * batch_size
        for inputs, targets in split.batches(batch_size, *generators, shard=shard):
            size = min(left, batch_size)
            left -= size
            count = shard.count(size)
            fair = (size if count else 0) if summed else count
            yield Batch(inputs, targets, size, fair * self.world_size / size)

    def parallel(self, model: "nn.Module") -> "nn.Module":
        """The same model, whose backward passes end in the mean of the ranks' gradients.

        Buffers are not sent along at each step: batch norm trains on its own part of the batch, whatever its running
        statistics are; see `share_buffers`.
        """
        if self.alone:
            return model
        from torch.nn.parallel import DistributedDataParallel

        with warnings.catch_warnings():  # newer versions have another name for it, which older ones do not know
            warnings.filterwarnings("ignore", ".*broadcast_buffers", FutureWarning)
            return DistributedDataParallel(model, broadcast_buffers=False)

    def apart(self, replica: "nn.Module | None", keep: bool) -> AbstractContextManager[Any]:
        """Keep gradients to this rank, if so wanted, since another backward pass will add to them."""
        return replica.no_sync() if keep and not self.alone else nullcontext()  # type: ignore[union-attr, operator]

    def share_buffers(self, model: "nn.Module") -> None:
        """Give all ranks the first one's running statistics, which are those that it saves."""
        if not self.alone:
            from torch import distributed

            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)

    def sum(self, values: "Tensor") -> "Tensor":
        """Over the ranks, in place, without waiting for the device."""
        if not self.alone:
            from torch import distributed

            distributed.all_reduce(values)
        return values

    def check(self, config: Any) -> None:
        """Raise UserError for what only a run of one process can have."""
        if self.alone:
            return
        many = f"this run has {self.world_size} processes"
        if config.batch_size < self.world_size:
            raise UserError(f"batch_size={config.batch_size}: is the batch of all, and {many}; it must be at least "
                            f"{self.world_size}")  # fmt: skip
        for key in ("compile", "cuda_graph"):
            if config[key] is True:
                raise UserError(f"{key}=true: works in one process alone, and {many}; leave it out")
        if not config.backend._target_.endswith(".torch_backend"):
            raise UserError(f"backend ({config.backend._target_}): works in one process alone, and {many}; use "
                            f"backend=torch")  # fmt: skip

    def share(self) -> int | None:
        """Its share of the machine's cores; None where nobody shares them."""
        if self.alone:
            return None
        return max(1, cores() // self.local_world_size)

    def with_sync_batchnorm(self, model: "nn.Module", device: "device") -> "nn.Module":
        """Batch norms that take the mean over all ranks' parts, by torch, which has them on GPUs. Raises UserError."""
        if self.alone:
            return model
        if device.type != "cuda":
            raise UserError(f"sync_batchnorm=true: torch has none on device {device.type}, only on cuda; "
                            f"set sync_batchnorm=false")  # fmt: skip
        from torch.nn import SyncBatchNorm

        converted: nn.Module = SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return converted

    def device(self, name: str) -> str:
        """What `device=name` is for this rank: its own of the machine's GPUs. Raises UserError."""
        if self.alone or name == "cpu":
            return name
        import torch

        if name == "mps" or (name.startswith("cuda:") and self.local_world_size > 1):
            raise UserError(f"device={name}: is one device, and this run has {self.local_world_size} processes here; "
                            f"use device=auto, cuda or cpu")  # fmt: skip
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if name not in ("auto", "cuda") or count == 0:
            return name
        if self.local_world_size > count:
            raise UserError(f"device={name}: {self.local_world_size} processes on a machine of {count} CUDA device(s); "
                            f"use --nproc-per-node={count}, or device=cpu")  # fmt: skip
        torch.cuda.set_device(self.local_rank)
        return f"cuda:{self.local_rank}"

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """Have all ranks leave it together: where one cannot go on, all raise.

        Raises what was raised on this rank, or else UserError or RunFailed with the words of the first that failed.
        """
        if self.alone:
            yield
            return
        error: Exception | None = None
        try:
            yield
        except Exception as caught:
            error = caught
        failed = [failure for failure in self.gather(error and failure_of(self.rank, error)) if failure]
        if error is not None:
            raise error
        if failed:
            kind, line = failed[0]
            raise kind(line)

    def gather(self, item: Any) -> list[Any]:
        """Each rank's item, in the order of the ranks."""
        if self.alone:
            return [item]
        from torch import distributed

        items = [None] * self.world_size
        distributed.all_gather_object(items, item)
        return items

    def guard(self, record: Any) -> AbstractContextManager[None]:
        """See Lifeline.guard. record: of the run, which is marked as failed where this process is ended by force."""
        if self.lifeline is None:
            return nullcontext()
        return self.lifeline.guard(lambda line: record.status("failed", error=line))

    def parted(self) -> "Ranks":
        """This process alone, as the first rank is when training is over; the group is no more."""
        if not self.alone:
            from torch import distributed

            if distributed.is_initialized():
                distributed.destroy_process_group()
        return ALONE


ALONE = Ranks()


def failure_of(rank: int, error: Exception) -> tuple[type[Exception], str]:
    """What the others are to raise."""
    if isinstance(error, UserError):
        return UserError, f"rank {rank}: {error}"
    return RunFailed, f"rank {rank}: {in_a_line(error)}"
