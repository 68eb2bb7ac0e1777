"""The lanes' steps on a fake CUDA device: the host waits for nothing in them."""

from unittest import mock

import pytest
from fake_cuda import CUDA, fake_cuda, on_the_device
from torch import Tensor

from dlhw.config.compose import composed
from dlhw.config.shipped import hydra_session
from dlhw.lanes import objective
from dlhw.lanes.loop import Loop
from dlhw.lanes.measured import Measured
from dlhw.prepare import Experiment, prepare

TINY = ("plots=none", "threads=1", "device=cpu", "dataset.train_size=500", "batch_size=40")
FC = (*TINY, "model=fc", "model.hidden=[8]")
KINDS = [
    (*FC, "model.batchnorm=true", "scheduler=onecycle"),
    (*FC, "optimizer=sgd", "optimizer.momentum=0.9", "clip_grad_norm=1", "dataset.normalize=channel"),
    (*FC, "optimizer=rmsprop", "accumulate_steps=2"),
    (*FC, "optimizer=adamw", "optimizer.weight_decay=0.1", "loss=mse"),
    (*TINY, "model=lenet5", "dataset.augment.crop_padding=1"),
]


def prepared(*overrides: str) -> Experiment:
    with hydra_session():
        return prepare(composed(list(overrides)))


def loop_of(experiments: list[Experiment]) -> Loop:
    with mock.patch.object(objective.copy, "deepcopy", lambda module: module):  # which torch has not for fake tensors
        return Loop([on_the_device(experiment) for experiment in experiments], [], cuda_graph=False)


def fetched(self: Measured, losses: list[Tensor]) -> tuple[list[list[float]], list[dict[str, float]]]:
    """In place of the one transfer to the host."""
    self._hand_over()
    assert all(tensor.device == CUDA for tensor in (*losses, *(metrics.state() for metrics in self.metrics)))
    return [[0.5] * len(losses) for _ in self.metrics], [{} for _ in self.metrics]


@pytest.mark.parametrize("overrides", KINDS, ids=" ".join)
def test_passes_and_an_evaluation_wait_for_nothing_but_their_ends(overrides: tuple[str, ...]) -> None:
    experiments = [prepared(*overrides, f"seed={seed}") for seed in range(3)]
    with fake_cuda() as transfers, mock.patch.object(Measured, "fetch", fetched):
        loop = loop_of(experiments)
        with transfers:
            passes = loop.train_epochs(2)
            loop.evaluate([trainer.val for trainer in loop.trainers if trainer.val is not None], "val")
    assert len(passes.losses[0]) == loop.trainers[0].step > 0
    assert transfers.waiting == []
