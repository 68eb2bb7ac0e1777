"""A step as a CUDA graph; where there is none, the step as it is."""

import logging

import pytest
import torch
from planned_runs import FC, TINY, column, plan_all

from dlhw.lanes import captured as captured_module
from dlhw.lanes.captured import Captured
from dlhw.lanes.train import train_lanes

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def test_a_capture_that_fails_leaves_the_function_as_it_is(monkeypatch):
    """And what it changed while it warmed up is put back; a line says so, once."""
    total, lines = torch.zeros(()), []

    def add(value):
        total.add_(value.sum())
        return (total.clone(),)

    def warm_up_and_fail(function, inputs, trial):
        with trial:
            function(*inputs)
            raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(captured_module, "Graph", warm_up_and_fail)
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger("dlhw_sweep").addHandler(handler)
    logging.getLogger("dlhw_sweep").setLevel(logging.INFO)
    captured = Captured(add, [total])
    assert [captured(torch.ones(size))[0].item() for size in (2, 2, 3)] == [2, 4, 7]
    assert lines == ["lanes go without a CUDA graph, whose capture failed: operation not permitted when stream is "
                     "capturing"]  # fmt: skip


def test_memory_that_is_out_is_no_failure_of_the_capture(monkeypatch):
    def too_large(function, inputs, trial):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(captured_module, "Graph", too_large)
    with pytest.raises(torch.OutOfMemoryError):
        Captured(lambda: (), [])()


@needs_cuda
@pytest.mark.parametrize(
    "net",
    [
        (*FC, "model.batchnorm=true", "model.dropout=0.1", "scheduler=onecycle"),
        (*TINY, "model=lenet5", "dataset.image_size=28", "optimizer=sgd", "optimizer.momentum=0.9", "clip_grad_norm=1"),
    ],
)
def test_a_graph_trains_as_eager_steps_do(net, tmp_path, monkeypatch):
    """150 images in batches of 40, so that the short last batch has a graph of its own."""
    captures = []
    graph_of = captured_module.Graph
    monkeypatch.setattr(captured_module, "Graph", lambda *args: captures.append(0) or graph_of(*args))
    losses = {}
    for graph in ("auto", "false"):
        runs = [(*net, "device=cuda", "dataset.train_size=150", f"cuda_graph={graph}", f"seed={s}") for s in range(3)]
        folders = plan_all(tmp_path / graph, runs)
        train_lanes(folders, "continue")
        losses[graph] = [column(folder, "loss") for folder in folders]
        assert len(captures) == 2
    for graphed, eager in zip(losses["auto"], losses["false"], strict=True):
        assert graphed == pytest.approx(eager, rel=1e-4)
