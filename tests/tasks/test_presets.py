"""Every shipped preset: its net takes what its data set gives, and gives what task and loss ask for; no data needed."""

from pathlib import Path

import pytest
import torch

from dlhw.config.build import build
from dlhw.config.compose import composed
from dlhw.config.shipped import conf_dir, hydra_session
from dlhw.metrics import ConfusionMetrics
from dlhw.monitor import make_monitor
from dlhw.prepare import look_through
from dlhw.tasks import TASKS

FOLDER = conf_dir() / "experiment"
PRESETS = sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.yaml"))
CPU = torch.device("cpu")


def test_there_are_presets_of_each_kind():
    kinds = {Path(preset).parts[0] for preset in PRESETS}
    assert kinds >= {"xor", "mnist", "fashion", "cifar10", "segmentation", "sequence", "restoration"}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_presets_parts_fit_together(preset):
    with hydra_session() as session:
        config = composed([*session, f"experiment={preset}"])
    dataset = build(config.dataset, "dataset")
    config.dataset.classes = dataset.classes
    loss_fn = build(config.loss, "loss")
    task = TASKS[dataset.task](dataset, loss_fn)
    model = build(config.model, "model")
    layers = look_through(model, torch.zeros(1, *dataset.input_shape), task, config.model._target_)

    assert sum(layer.parameters for layer in layers) == sum(p.numel() for p in model.parameters())
    assert all(layer.output_shape is not None for layer in layers)
    assert sum(layer.flops for layer in layers) > 0

    outputs = torch.randn(2, *task.output_shape(), generator=torch.Generator().manual_seed(0))
    targets = torch.rand(2, *task.output_shape())
    metrics = task.metrics(CPU)
    if isinstance(metrics, ConfusionMetrics):
        targets = torch.ones(2, *task.output_shape()[1:], dtype=torch.int64)
    metrics.update(outputs, targets)
    assert loss_fn(outputs, targets).isfinite()
    assert tuple(metrics.figures(metrics.state().tolist())) == task.metric_names[1:]
    assert task.essence in task.metric_names

    monitored = (config.monitor.metric, config.monitor.mode, config.early_stopping.patience)
    monitor = make_monitor(*monitored, 0.0, task.metric_names, has_val=True)
    assert monitor.metric == f"val/{task.metric_names[1]}"
    assert monitor.mode == ("min" if task.metric_names[1] in ("mse", "mae") else "max")
