"""Nothing within an epoch waits for the device.

The epoch is run on torch's meta device, whose tensors have shapes and no values: item, tolist, bool, numpy, a copy to
the host, nonzero and all else that a GPU would have to be waited for raise there, with the line that asked for it.
"""

from itertools import cycle

import pytest
import torch
from small_runs import FC

from dlhw import prepare as prepare_module
from dlhw import trainer as trainer_module
from dlhw.config.compose import composed
from dlhw.config.shipped import hydra_session
from dlhw.prepare import prepare
from dlhw.trainer import Trainer

META = torch.device("meta")
QUICK = ("plots=none", "threads=1", "optimizer.fused=false", "batch_size=10")
DIGITS = ("dataset.train_size=60", "dataset.val_size=40")
UNET = ("dataset.source=digits", "dataset.train_size=40", "dataset.val_size=20", "dataset.test_size=20",
        "model.base_channels=2", "model.depth=2")  # fmt: skip
CASES = {
    "classification": [*DIGITS],
    "augmented": [*DIGITS, "dataset.augment.crop_padding=2", "dataset.augment.flip=true", "dataset.augment.rotation=9"],
    "batchnorm_and_dropout": [*DIGITS, *FC, "model.batchnorm=true", "model.dropout=0.5"],
    "float64": [*DIGITS, *FC, "precision=fp64"],
    "clipped": [*DIGITS, *FC, "clip_grad_norm=1"],
    "accumulated": [*DIGITS, *FC, "accumulate_steps=3"],
    "mse": [*DIGITS, *FC, "loss=mse"],
    "rounded_mse": [*DIGITS, *FC, "loss=rounded_mse", "model.out_features=1"],
    "segmentation": ["dataset=canvas", "model=unet", *UNET],
    "dice": ["dataset=canvas", "model=unet", "loss=dice", *UNET],
    "regression": ["experiment=xor/mlp", "batch_size=1"],
    "sequence": ["experiment=sequence/sine", "limit_batches=3"],
}
CUDA_ALONE = {  # meta has no generators, and no backward of this loss
    "restoration": ["dataset=denoise", "model=unet", *UNET],
    "multi_margin": [*DIGITS, *FC, "loss=multi_margin"],
}
OPTIMIZERS = {
    **{name: [f"optimizer={name}", "optimizer.fused=false"] for name in ("adam", "adamw", "sgd")},
    "sgd_momentum": ["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.weight_decay=0.1"],
    "rmsprop": ["optimizer=rmsprop"],
}
SCHEDULES = {
    "none": [],
    "step": ["scheduler=step", "scheduler.step_size=2"],
    "step_by_step": ["scheduler=step", "scheduler.step_size=2", "scheduler.interval=step"],
    "exponential": ["scheduler=exponential", "scheduler.gamma=0.9"],
    "cosine": ["scheduler=cosine"],
    "onecycle": ["scheduler=onecycle", "scheduler.max_lr=0.1"],
    "plateau": ["scheduler=plateau"],
}


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of losses of each fetch, the one place where a Trainer may wait; it hands back ones."""
    sizes: list[int] = []

    def fetch(losses, metrics, *others):
        sizes.append(len(losses))
        return [1.0] * len(losses), [1.0] * len(metrics.state())

    monkeypatch.setattr(trainer_module, "fetch", fetch)
    return sizes


@pytest.fixture
def on_meta(monkeypatch: pytest.MonkeyPatch, fetches: list[int]):
    """The trainer of a run that takes the meta device for its own."""
    monkeypatch.setattr(prepare_module, "choose_device", lambda device: META)

    def build(*overrides: str) -> Trainer:
        with hydra_session():
            return prepare(composed(unique(QUICK, overrides))).trainer

    return build


def unique(*groups: tuple[str, ...]) -> list[str]:
    """Overrides, the last of each key: a choice of optimizer drops what was said of another's keys."""
    typed = {override.partition("=")[0]: override for group in groups for override in group}
    if typed.get("optimizer") == "optimizer=rmsprop":
        typed.pop("optimizer.fused", None)
    return list(typed.values())


def waits_for_nothing(trainer: Trainer, fetches: list[int]) -> None:
    """Two passes, an evaluation: one fetch each, whatever the number of steps."""
    assert {p.device for p in trainer.model.parameters()} == {META}
    trainer.train_epochs(2)
    assert trainer.step >= 4
    assert fetches == [trainer.step]
    trainer.evaluate(trainer.val or trainer.train, "val")
    assert len(fetches) == 2


@pytest.mark.parametrize("name", CASES)
def test_no_task_waits(name, on_meta, fetches):
    waits_for_nothing(on_meta(*CASES[name]), fetches)


@pytest.mark.parametrize(("optimizer", "schedule"), [*zip(cycle(OPTIMIZERS), SCHEDULES)])
def test_no_optimizer_and_no_schedule_waits(optimizer, schedule, on_meta, fetches):
    assert len(SCHEDULES) >= len(OPTIMIZERS)
    waits_for_nothing(on_meta(*DIGITS, *FC, *OPTIMIZERS[optimizer], *SCHEDULES[schedule]), fetches)


WAITING = {
    "item": lambda outputs: outputs.sum().item(),
    "tolist": lambda outputs: outputs.tolist(),
    "bool": lambda outputs: bool(outputs.sum() > 0),
    "float": lambda outputs: float(outputs.sum()),
    "numpy": lambda outputs: outputs.detach().numpy(),
    "cpu": lambda outputs: outputs.cpu(),
    "mask": lambda outputs: outputs[outputs > 0],
    "nonzero": lambda outputs: outputs.nonzero(),
}


def test_what_waits_would_be_seen(on_meta, fetches):
    trainer = on_meta(*DIGITS, *FC)
    for name, wait in WAITING.items():
        handle = trainer.model.register_forward_hook(lambda module, inputs, outputs, wait=wait: wait(outputs) and None)
        try:
            with pytest.raises((RuntimeError, NotImplementedError, TypeError)):
                trainer.train_epochs(1)
        except pytest.fail.Exception:
            pytest.fail(f"{name} went unseen")
        finally:
            handle.remove()
    assert fetches == []
    waits_for_nothing(trainer, fetches)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA: its own watch over what waits for it")
@pytest.mark.parametrize("name", CASES | CUDA_ALONE)
def test_cuda_is_not_waited_for(name, fetches):
    with hydra_session():
        trainer = prepare(composed([*unique(QUICK, tuple((CASES | CUDA_ALONE)[name])), "device=cuda"])).trainer
    trainer.train_epochs(1)  # libraries may wait while they begin
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer.train_epochs(2)
        trainer.evaluate(trainer.val or trainer.train, "val")
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(fetches) == 3
