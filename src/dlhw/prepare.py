"""From a config to everything that a run needs, before any file is written: all that can be refused is refused here."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from dlhw.config.build import build
from dlhw.config.targets import locate, signature_of
from dlhw.dataset.batches import Split, Splits
from dlhw.dataset.held_out import HeldOut, hold_out
from dlhw.dataset.seeds import derive
from dlhw.distributed.ranks import ALONE, Ranks
from dlhw.eager import without_compiler
from dlhw.errors import UserError, first_line, lacks_memory
from dlhw.machine import (
    choose_device,
    choose_dtype,
    choose_precision,
    choose_threads,
    cpu_settings,
    deterministic,
)
from dlhw.monitor import Monitor, make_monitor
from dlhw.out_of_memory import telling
from dlhw.passes import steps_of
from dlhw.scheduler.schedule import Schedule
from dlhw.summary import LayerSummary, summarize
from dlhw.tasks import TASKS, Task
from dlhw.trainer import Trainer
from dlhw.views import snapshot

EVAL_VALUES = 2**20  # input values of a batch in evaluation: about a thousand images of 28x28
VIEWED = 64  # samples whose activations are pictured


@dataclass
class Experiment:
    """All that a config describes, built and loaded. config: with the facts that only the data could tell."""

    config: DictConfig
    task: Task
    model: nn.Module  # as torch has it, on whose weights the trainer's works
    splits: Splits
    test: HeldOut  # of the splits
    trainer: Trainer
    monitor: Monitor | None
    threads: int
    layers: list[LayerSummary]
    before: dict[str, np.ndarray]  # views of the model before training, for its pictures
    data: Path | None  # the folder of the data set's files, if it has any
    logger: Any  # what takes each row beside the record, if anything does; see logger/
    precision: str  # fp32, bf16, fp64
    ranks: Ranks
    lanes: int = 1  # runs that train as one program, this one among them; see lanes/

    def opened(self, name: str) -> AbstractContextManager[Split]:
        """The split of that name, to be evaluated once. Of the test split that is counted."""
        return self.test.opened() if name == "test" else nullcontext(getattr(self.splits, name))

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def is_trained(self) -> bool:
        """Whether there is nothing left to train."""
        early = self.monitor is not None and self.monitor.out_of_patience
        return early or self.trainer.epoch >= self.config.epochs

    @property
    def flops(self) -> int:
        """Of one sample's forward pass: multiplications and additions of matrix products and convolutions."""
        return sum(layer.flops for layer in self.layers)


def prepare(config: DictConfig, trained: bool = False, share: int | None = None, ranks: Ranks = ALONE) -> Experiment:
    """Build and load all that the config describes. Raises UserError for whatever cannot be used, OutOfMemory.

    trained: a checkpoint's weights will follow, so that pretrained ones need not be fetched again. share: the cores
    that the run may take, where others train beside it. ranks: those that train it together, of which this is one.
    """
    without_compiler()
    logger = None if config.logger is None else build(config.logger, "logger")
    ranks.check(config)
    device = choose_device(ranks.device(config.device))
    dtype = choose_dtype(config.precision, device)
    if device.type == "cuda":
        # Before `cpu_settings` bounds the memory, of which the driver maps more than there is.
        torch.cuda.init()  # type: ignore[no-untyped-call]
    if config.cuda_graph is True and device.type != "cuda":
        raise UserError(f"cuda_graph=true: the device is {device}; set cuda_graph=auto")

    dataset = build(config.dataset, "dataset")
    config.dataset.classes = dataset.classes  # an image folder's classes are its folders
    loss_fn = build(config.loss, "loss").to(device, dtype)
    task = TASKS[dataset.task](dataset, loss_fn)
    torch.manual_seed(config.seed)
    sample = torch.zeros(1, *dataset.input_shape)
    smaller = "take a smaller model"
    with cpu_settings(1), telling("the model", device, smaller):  # a thread a core would take longer than one sample
        model = build_model(config, trained)
        layers = look_through(model, sample, task, config.model._target_)
    flops = sum(layer.flops for layer in layers)
    flops_per_step = 3 * flops * config.batch_size // ranks.world_size  # a backward pass costs two forwards
    threads = choose_threads(config.threads, flops_per_step, share or ranks.share())
    precision = choose_precision(config.precision, device, flops)
    channels_last = use_channels_last(config.channels_last, model, device, precision)
    with cpu_settings(threads), telling("the model", device, smaller):
        model = place(model, device, dtype, channels_last)
    if config.sync_batchnorm:
        model = ranks.with_sync_batchnorm(model, device)
    optimizer = build(config.optimizer, "optimizer", [p for p in model.parameters() if p.requires_grad])
    trained_model, loss_fn, optimizer = build(config.backend, "backend", model, loss_fn, optimizer)

    with cpu_settings(threads), telling("the data set", device, "lower dataset.train_size or dataset.image_size"):
        splits: Splits = dataset.load(device, dtype, channels_last)
    test = hold_out(splits)
    check_last_batch(layers, len(splits.train), config, ranks)
    schedule = build_schedule(config, optimizer, splits, task)
    monitor = make_monitor(
        config.monitor.metric,
        config.monitor.mode,
        config.early_stopping.patience,
        config.early_stopping.min_delta,
        task.metric_names,
        splits.val is not None,
    )
    trainer = Trainer(
        trained_model,
        loss_fn,
        optimizer,
        schedule,
        metrics=lambda: task.metrics(device),
        train=splits.train,
        val=splits.val,
        shuffle=torch.Generator().manual_seed(config.seed),
        augment=torch.Generator().manual_seed(derive(config.seed, 1)),
        batch_size=config.batch_size,
        eval_batch_size=max(config.batch_size, EVAL_VALUES // sample.numel()),
        device=device,
        bf16=precision == "bf16",
        clip_grad_norm=config.clip_grad_norm,
        accumulate_steps=config.accumulate_steps,
        limit_batches=config.limit_batches,
        loss_below=config.loss_below,
        ranks=ranks,
    )
    unseen = trained and config.model.get("weights") is not None  # where training began is not at hand any more
    wanted = config.plots == "all" and not unseen and ranks.rank == 0
    few = "what the model makes of a few samples"
    with cpu_settings(threads), deterministic(config.deterministic), telling(few, device, smaller):
        rehearse(trainer, config)
        before = snapshot(model, first_inputs(splits.train), "before") if wanted else {}
    data = getattr(dataset, "folder", None)
    return Experiment(
        config, task, model, splits, test, trainer, monitor, threads, layers, before, data, logger, precision, ranks
    )


@torch.no_grad()
def rehearse(trainer: Trainer, config: DictConfig) -> None:
    """Take the loss of two samples, without a trace: what model or loss refuse is told before anything is written."""
    trainer.model.eval()
    devices = [trainer.device] if trainer.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices), trainer.autocast():
            inputs, targets = next(iter(trainer.train.batches(min(2, len(trainer.train)))))
            trainer.loss_fn(trainer.model(inputs), targets)
    except Exception as error:
        if isinstance(error, UserError) or lacks_memory(error):
            raise
        parts = f"model ({config.model._target_}) and loss ({config.loss._target_})"
        raise UserError(f"{parts} fail on two samples: {first_line(error)}") from error


def build_model(config: DictConfig, trained: bool = False) -> nn.Module:
    node = config.model.copy()
    if trained and node.get("weights") is not None:
        node.weights = None
    model: nn.Module = build(node, "model")
    return model


def first_inputs(split: Split) -> Tensor:
    """The first samples of a split, as the model sees them: what its views are drawn from."""
    return next(iter(split.batches(min(VIEWED, len(split)))))[0]


def look_through(model: nn.Module, sample: Tensor, task: Task, target: str) -> list[LayerSummary]:
    """Run one sample through the model: its layers, and proof that it takes the data and gives the task's outputs.

    Raises UserError where it does not. No random number is used up and no batch statistic is moved.
    """
    outputs: list[Any] = []
    hook = model.register_forward_hook(lambda module, args, output: outputs.append(output))
    try:
        layers = summarize(model, sample)
    except Exception as error:
        if lacks_memory(error):
            raise
        shape = tuple(sample.shape)
        raise UserError(f"model ({target}) cannot take inputs of shape {shape}: {first_line(error)}") from error
    finally:
        hook.remove()
    found = tuple(outputs[-1].shape) if isinstance(outputs[-1], Tensor) else type(outputs[-1]).__name__
    expected = (1, *task.output_shape())
    if found != expected:
        raise UserError(f"model ({target}) gives outputs {found} for one sample; data set and loss need {expected}")
    return layers


def place(model: nn.Module, device: torch.device, dtype: torch.dtype, channels_last: bool) -> nn.Module:
    model = model.to(device, dtype)
    return model.to(memory_format=torch.channels_last) if channels_last else model


def use_channels_last(choice: bool | str, model: nn.Module, device: torch.device, precision: str) -> bool:
    """auto: for convolutional nets on a CPU, where oneDNN trained LeNet-5 1.1 to 1.2 times as fast, and in bf16."""
    if choice != "auto":
        return bool(choice)
    return (device.type == "cpu" or precision == "bf16") and any(
        isinstance(module, nn.Conv2d) for module in model.modules()
    )


def build_schedule(config: DictConfig, optimizer: Any, splits: Splits, task: Task) -> Schedule:
    """The schedule, given those facts of the run that its constructor asks for. torch's own are stepped by epoch."""
    target = locate(config.scheduler._target_, "scheduler", config.trust)
    if isinstance(target, type) and issubclass(target, LRScheduler):
        if target is ReduceLROnPlateau:
            raise UserError(
                "scheduler._target_=torch's ReduceLROnPlateau needs a metric to watch: use scheduler=plateau"
            )
        return Schedule(build(config.scheduler, "scheduler", optimizer))
    steps = steps_of(len(splits.train), config.batch_size, config.limit_batches, config.accumulate_steps)
    facts = {"epochs": config.epochs, "steps_per_epoch": steps}
    wanted = {name: value for name, value in facts.items() if name in signature_of(target)}
    schedule: Schedule = build(config.scheduler, "scheduler", optimizer, **wanted)
    if schedule.metric is not None:
        columns = [f"{split}/{m}" for split in ("train", "val") for m in task.metric_names]
        if schedule.metric not in columns:
            raise UserError(f"scheduler.metric={schedule.metric}: is one of {', '.join(columns)}")
        if schedule.metric.startswith("val/") and splits.val is None:
            raise UserError(
                f"scheduler.metric={schedule.metric}: dataset.val_size=0 leaves no validation split; "
                f"set scheduler.metric=train/loss or dataset.val_size"
            )
    return schedule


def check_last_batch(layers: list[LayerSummary], train_size: int, config: DictConfig, ranks: Ranks = ALONE) -> None:
    """Batch norm cannot train on a single value a channel; find out now rather than at an epoch's last step."""
    if not ranks.alone and config.sync_batchnorm:  # it has the values of all ranks
        return
    norms = any(row.type.startswith("BatchNorm") and prod((row.output_shape or ())[2:]) == 1 for row in layers)
    batches = -(-train_size // config.batch_size)
    last = min(batches, config.limit_batches or batches) == batches and train_size % config.batch_size
    if norms and (config.batch_size < 2 * ranks.world_size or 0 < last < 2 * ranks.world_size):
        what, by = ("a last batch of one", "one") if ranks.alone else ("a process with one sample of a batch", "a few")
        raise UserError(
            f"batch_size={config.batch_size} leaves {what} of the {train_size} training samples, "
            f"on which batch norm cannot train; change batch_size or dataset.train_size by {by}"
        )
