"""On CUDA the host waits for the device once a pass, at its end, and all that a step needs lies there: shown on a fake
device, so that it holds where no real one is. Each case would raise at an operation on two devices, and at a value that
the host asks for."""

from unittest import mock

import pytest
import torch
from fake_cuda import CUDA, Transfers, fake_cuda, fetched, on_the_device
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException

from dlhw import trainer as trainer_module
from dlhw.capture.cuda_graph import GraphedStep, unfit
from dlhw.capture.trial import full_batch
from dlhw.config.compose import composed
from dlhw.config.shipped import hydra_session
from dlhw.prepare import Experiment, prepare
from dlhw.trainer import Trainer

DIGITS = ("dataset.train_size=220",)
SMALL = ("dataset.train_size=8", "batch_size=4")
CANVAS = ("dataset=canvas", "dataset.image_size=32", "dataset.train_size=10", "dataset.test_size=4", "batch_size=4")
MODELS = [
    (*DIGITS, "model=fc", "model.batchnorm=true", "model.dropout=0.3"),
    (*DIGITS, "model=lenet5"),
    (*DIGITS, "model=convnet", "model.conv_dropout=0.1"),
    (*SMALL, "model=vgg16"),
    (*SMALL, "model=resnet50"),
    (*CANVAS, "model=unet"),
    (*CANVAS, "model=resnet50_unet"),
    ("dataset=xor", "batch_size=2"),
    ("dataset=toy", "batch_size=5"),
]
STEPS = [
    ("optimizer=sgd",),
    ("optimizer=sgd", "optimizer.momentum=0.9", "optimizer.nesterov=true"),
    ("optimizer=adamw", "clip_grad_norm=0.1"),
    ("optimizer=adam", "+optimizer.amsgrad=true"),
    ("optimizer=adam", "optimizer.fused=false", "+optimizer.foreach=true"),
    ("optimizer=rmsprop", "optimizer.momentum=0.9"),
    ("optimizer=rmsprop", "clip_grad_norm=1"),
    ("scheduler=step", "scheduler.step_size=1", "scheduler.interval=step"),
    ("scheduler=cosine", "precision=bf16"),
    ("loss=multi_margin",),
    ("loss=mse",),
    ("loss=rounded_mse", "model.out_features=1"),
    ("dataset.normalize=channel",),
    ("dataset.normalize=pixel", "dataset.augment.crop_padding=2", "dataset.augment.rotation=10"),
]
EAGER = [("scheduler=onecycle",), ("accumulate_steps=2",), ("limit_batches=2",)]  # which no graph fits, or none needs
FC = ("model=fc", "model.hidden=[8]", *DIGITS)


def prepared(*overrides: str) -> Experiment:
    with hydra_session():
        return prepare(composed(["plots=none", "threads=1", "device=cpu", *overrides]))


def train_and_evaluate(trainer: Trainer) -> list[int]:
    """Two passes and an evaluation; the losses of each transfer to the host."""
    calls: list[int] = []
    with mock.patch.object(trainer_module, "fetch", fetched(calls)):
        trainer.train_epochs(2)
        if trainer.val is not None:
            trainer.evaluate(trainer.val, "val")
    return calls


@pytest.mark.filterwarnings("ignore:CUDA is not available:UserWarning")  # where autocast then computes in float32
@pytest.mark.parametrize("overrides", [*MODELS, *((*FC, *words) for words in (*STEPS, *EAGER))], ids=" ".join)
def test_two_passes_and_an_evaluation_wait_twice(overrides: tuple[str, ...]) -> None:
    experiment = prepared(*overrides)
    with fake_cuda() as transfers:
        trainer = on_the_device(experiment)
        with transfers:
            calls = train_and_evaluate(trainer)
    assert len(calls) == 1 + (trainer.val is not None)
    assert calls[0] == trainer.step > 0
    assert not transfers.waiting


@pytest.mark.filterwarnings("ignore:CUDA is not available:UserWarning")
@pytest.mark.parametrize("overrides", [*MODELS, *((*FC, *words) for words in STEPS)], ids=" ".join)
def test_a_step_with_its_learning_rate_on_the_device_can_be_captured(overrides: tuple[str, ...]) -> None:
    experiment = prepared(*overrides)
    with fake_cuda() as transfers:
        trainer = on_the_device(experiment)
        assert not unfit(trainer)
        batch = full_batch(trainer)
        assert batch is not None
        step = bare(trainer)
        with transfers, step.on_the_device():
            found = [step.step(*batch) for _ in range(3)]
            assert all(tensor.device == CUDA for outputs, loss in found for tensor in (outputs, loss))
        if "optimizer.fused=false" not in overrides:  # then torch reads the count of steps here, once an epoch
            with transfers:
                step.step(*batch)  # as the short last batch is trained, by itself
    assert transfers.waiting == []


def bare(trainer: Trainer) -> GraphedStep:
    """Before it is captured, which a fake device cannot do."""
    with mock.patch("dlhw.capture.cuda_graph.Graph"):
        batch = full_batch(trainer)
        assert batch is not None
        return GraphedStep(trainer, *batch)


class Impatient(nn.Module):
    """Asks for a value in every step."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.model(inputs)
        return outputs / outputs.abs().max().item()


def test_whoever_waits_is_found_out() -> None:
    experiment = prepared(*FC)
    with fake_cuda():
        trainer = on_the_device(experiment)
        trainer.model = Impatient(trainer.model)
        with pytest.raises(DataDependentOutputException):
            train_and_evaluate(trainer)


def test_a_tensor_that_was_left_on_the_cpu_is_found_out() -> None:
    experiment = prepared(*FC, "dataset.normalize=channel")
    with fake_cuda():
        trainer = on_the_device(experiment)
        trainer.train.preprocess = experiment.splits.train.preprocess  # type: ignore[attr-defined]
        with pytest.raises(RuntimeError, match="at least two devices"):
            train_and_evaluate(trainer)


def test_a_copy_from_memory_that_is_not_pinned_is_found_out() -> None:
    with fake_cuda(), Transfers() as transfers:
        torch.zeros(3).to(CUDA, non_blocking=True)
        assert len(transfers.waiting) == 1
