"""A step's batches of all lanes are each lane's own ones, and a lane more costs the host next to nothing in it."""

from typing import Any

import pytest
import torch
from planned_runs import TINY
from torch.utils._python_dispatch import TorchDispatchMode

from dlhw.config.compose import composed
from dlhw.config.shipped import hydra_session
from dlhw.lanes.batches import cut, evaluation_batches, training_batches
from dlhw.lanes.dropout import Generators
from dlhw.lanes.loop import Loop
from dlhw.prepare import prepare
from dlhw.trainer import Trainer

FC = (*TINY, "model=fc", "model.hidden=[4]")


def trainer_of(*overrides: str) -> Trainer:
    with hydra_session():
        return prepare(composed([*overrides])).trainer


@pytest.mark.parametrize(
    "overrides",
    [
        ("dataset.train_size=200", "batch_size=40"),
        ("dataset.train_size=150", "batch_size=40"),
        ("dataset.train_size=150", "batch_size=1"),
        ("dataset.train_size=150", "batch_size=149"),
        ("dataset.train_size=150", "batch_size=150"),
        ("dataset.train_size=150", "batch_size=999"),
        ("dataset.train_size=150", "batch_size=40", "limit_batches=2"),
        ("dataset.train_size=150", "batch_size=20", "dataset.augment.crop_padding=2", "dataset.augment.flip=true"),
        ("dataset=sine", "batch_size=600", "model=rnn"),  # two steps of a split that comes in order if asked for whole
        ("dataset=xor", "batch_size=4"),
        ("dataset=denoise", "model=unet", "dataset.train_size=50", "batch_size=20", "loss=mse"),
    ],
    ids=" ".join,
)
def test_each_lane_gets_its_own_samples_in_its_own_order(overrides: tuple[str, ...]) -> None:
    asked = [word for word in FC if not any(word.startswith(given.partition("=")[0]) for given in overrides)]
    lanes, singles = ([trainer_of(*asked, *overrides, f"seed={seed}") for seed in (1, 2)] for _ in range(2))
    for _ in range(2):  # the second pass begins where the generators then stand
        together = list(training_batches(lanes))
        for index, single in enumerate(singles):
            own = list(single.batches(single.train, single.batch_size, single.shuffle, single.augment))
            assert len(together) == len(own)
            for (inputs, targets), batch in zip(together, own, strict=True):
                assert torch.equal(inputs[index], batch.inputs)
                assert torch.equal(targets[index], batch.targets)
        assert all(inputs.is_contiguous() for inputs, _ in together)
    assert torch.equal(lanes[0].shuffle.get_state(), singles[0].shuffle.get_state())


def test_evaluation_goes_through_each_split_in_order() -> None:
    lanes = [trainer_of(*FC, f"seed={seed}") for seed in (1, 2)]
    for trainer in lanes:
        trainer.eval_batch_size = 30
    for index, trainer in enumerate(lanes):
        parts = [inputs[index] for inputs, _ in evaluation_batches(lanes, [lane.train for lane in lanes])]
        assert [len(part) for part in parts] == [30] * 6 + [20]
        assert torch.equal(torch.cat(parts), next(trainer.train.batches(200))[0])


@pytest.mark.parametrize(("count", "sizes"), [(7, [3, 3, 1]), (6, [3, 3]), (2, [2])])
def test_cut(count: int, sizes: list[int]) -> None:
    lanes = [torch.arange(count * 2).view(count, 2) + 100 * lane for lane in range(2)]
    parts = list(cut(lanes, 3))
    assert [tuple(part.shape) for part in parts] == [(2, size, 2) for size in sizes]
    assert torch.equal(torch.cat(parts, dim=1), torch.stack(lanes))


class Counted(TorchDispatchMode):
    operations = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += 1
        return function(*args, **(kwargs or {}))


def operations_of_a_pass(lanes: int) -> float:
    """For each step, but for those of the program, which a GPU takes as one graph."""
    trainers = [trainer_of(*FC, "batch_size=5", f"seed={seed}") for seed in range(lanes)]
    loop = Loop(trainers, [Generators(trainer.device).masks for trainer in trainers])
    given = torch.zeros(lanes), torch.zeros(lanes, 5, 10)
    loop.program.whole_step = lambda inputs, targets: given
    with Counted() as counted:
        loop.train_epochs(3)
    return counted.operations / trainers[0].step


def test_a_lane_more_is_less_than_an_operation_more_a_step() -> None:
    assert 0 < operations_of_a_pass(8) - operations_of_a_pass(4) < 4
