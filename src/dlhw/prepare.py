"""From a config to everything that a run needs, before any file is written: all that can be refused is refused here."""

from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.flop_counter import FlopCounterMode

from dlhw.build import build
from dlhw.check import locate, signature_of
from dlhw.dataset.batches import Splits
from dlhw.errors import UserError, first_line
from dlhw.machine import choose_device, choose_dtype, choose_threads, cpu_settings
from dlhw.monitor import Monitor, make_monitor
from dlhw.scheduler.schedule import Schedule
from dlhw.task import TASKS, Classification
from dlhw.trainer import Trainer

EVAL_VALUES = 2**20  # input values of a batch in evaluation: about a thousand images of 28x28


@dataclass
class Experiment:
    """All that a config describes, built and loaded. config: with the facts that only the data could tell."""

    config: DictConfig
    task: Classification
    splits: Splits
    trainer: Trainer
    monitor: Monitor | None
    threads: int
    parameters: int
    flops: int  # of one sample's forward pass: multiplications and additions of matrix products and convolutions


def prepare(config: DictConfig) -> Experiment:
    """Build and load all that the config describes. Raises UserError for whatever cannot be used."""
    device = choose_device(config.device)
    dtype = choose_dtype(config.precision, device)

    dataset = build(config.dataset, "dataset")
    config.dataset.classes = dataset.classes  # an image folder's classes are its folders
    task = TASKS[dataset.task](dataset.classes)
    torch.manual_seed(config.seed)
    model: nn.Module = build(config.model, "model")
    sample = torch.zeros(1, config.dataset.in_channels, config.dataset.image_size, config.dataset.image_size)
    flops = count_flops(model, sample, task, config.model._target_)
    threads = choose_threads(config.threads, 3 * flops * config.batch_size)  # a backward pass costs two forwards
    channels_last = use_channels_last(config.channels_last, model, device)
    model = place(model, device, dtype, channels_last)
    loss_fn = build(config.loss, "loss").to(device, dtype)
    optimizer = build(config.optimizer, "optimizer", [p for p in model.parameters() if p.requires_grad])

    with cpu_settings(max(threads, 1)):
        splits: Splits = dataset.load(device, dtype, channels_last)
    check_last_batch(model, len(splits.train), config)
    schedule = build_schedule(config, optimizer, len(splits.train), task)
    monitor = make_monitor(
        config.monitor.metric,
        config.monitor.mode,
        config.early_stopping.patience,
        config.early_stopping.min_delta,
        task.metric_names,
        splits.val is not None,
    )
    trainer = Trainer(
        model,
        loss_fn,
        optimizer,
        schedule,
        metrics=lambda: task.metrics(device),
        train=splits.train,
        val=splits.val,
        shuffle=torch.Generator().manual_seed(config.seed),
        augment=torch.Generator().manual_seed(config.seed + 1),
        batch_size=config.batch_size,
        eval_batch_size=max(config.batch_size, EVAL_VALUES // sample.numel()),
        device=device,
        bf16=config.precision == "bf16",
        clip_grad_norm=config.clip_grad_norm,
        accumulate_steps=config.accumulate_steps,
        limit_batches=config.limit_batches,
    )
    parameters = sum(p.numel() for p in model.parameters())
    return Experiment(config, task, splits, trainer, monitor, threads, parameters, flops)


def count_flops(model: nn.Module, sample: Tensor, task: Classification, target: str) -> int:
    """Run one sample through the model: what it costs, and proof that it takes the data and gives the task's outputs.

    Raises UserError where it does not. No random number is used up and no batch statistic is moved.
    """
    counter = FlopCounterMode(display=False)
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]), counter:
            outputs = model(sample)
    except Exception as error:
        shape = tuple(sample.shape)
        raise UserError(f"model ({target}) cannot take inputs of shape {shape}: {first_line(error)}") from error
    expected = (1, *task.output_shape())
    if not isinstance(outputs, Tensor) or tuple(outputs.shape) != expected:
        found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise UserError(f"model ({target}) gives outputs {found} for one sample; the data set needs {expected}")
    return int(counter.get_total_flops())


def place(model: nn.Module, device: torch.device, dtype: torch.dtype, channels_last: bool) -> nn.Module:
    model = model.to(device, dtype)
    return model.to(memory_format=torch.channels_last) if channels_last else model


def use_channels_last(choice: bool | str, model: nn.Module, device: torch.device) -> bool:
    """auto: for convolutional nets on a CPU, where oneDNN gains by it (see benchmarks)."""
    if choice != "auto":
        return bool(choice)
    return device.type == "cpu" and any(isinstance(module, nn.Conv2d) for module in model.modules())


def build_schedule(config: DictConfig, optimizer: Any, train_size: int, task: Classification) -> Schedule:
    """The schedule, given those facts of the run that its constructor asks for. torch's own are stepped by epoch."""
    batches = -(-train_size // config.batch_size)
    steps_per_epoch = -(-min(batches, config.limit_batches or batches) // config.accumulate_steps)
    facts = {"epochs": config.epochs, "steps_per_epoch": steps_per_epoch}
    takes = signature_of(locate(config.scheduler._target_, "scheduler"))
    facts = {name: value for name, value in facts.items() if name in takes and name not in config.scheduler}
    built = build(config.scheduler, "scheduler", optimizer, **facts)
    schedule: Schedule = Schedule(built) if isinstance(built, LRScheduler) else built
    if schedule.metric is not None:
        columns = [f"{split}/{m}" for split in ("train", "val") for m in task.metric_names]
        if schedule.metric not in columns:
            raise UserError(f"scheduler.metric={schedule.metric}: is one of {', '.join(columns)}")
        if schedule.metric.startswith("val/") and config.dataset.val_size == 0:
            raise UserError(
                f"scheduler.metric={schedule.metric}: dataset.val_size=0 leaves no validation split; "
                f"set scheduler.metric=train/loss or dataset.val_size"
            )
    return schedule


def check_last_batch(model: nn.Module, train_size: int, config: DictConfig) -> None:
    """Batch norm cannot train on a batch of one sample; find out now rather than at an epoch's last step."""
    norms = any(isinstance(module, nn.BatchNorm1d) for module in model.modules())
    if norms and (config.batch_size == 1 or (train_size % config.batch_size == 1 and config.limit_batches is None)):
        raise UserError(
            f"batch_size={config.batch_size} leaves a last batch of one of the {train_size} training images, "
            f"on which batch norm cannot train; change batch_size or dataset.train_size by one"
        )
