"""A lane's losses are those of the run trained alone, whatever the other lanes do."""

import pytest
import torch
from planned_runs import FC, TINY, alone, column, in_lanes

IMAGES = (*TINY, "dataset.train_size=500", "batch_size=10", "epochs=4", "checkpoints=none")  # 200 steps
NORMED = (*IMAGES, "model=fc", "model.hidden=[64,32]", "model.batchnorm=true")
LENET = (*IMAGES, "model=lenet5", "model.channels=[4,8,30]")
CONV = (*IMAGES, "model=convnet", "model.channels=[3,6]", "model.hidden=[32]")
AUGMENTED = ("dataset.augment.crop_padding=2", "dataset.augment.flip=true", "dataset.augment.rotation=10")

# In float32 a relu or a max pool whose input is all but tied can fall either way by a rounding, and from there two runs
# part, as those of two thread counts do: these cases stay clear of it, and float64 shows that it is no more than that.
SINGLE = {
    "fc": [
        (*NORMED, "seed=0", "optimizer.lr=1e-3", "model.dropout=0.1", "optimizer.betas=[0.9,0.999]"),
        (*NORMED, "seed=1", "optimizer.lr=3e-3", "model.dropout=0.3", "optimizer.betas=[0.8,0.99]"),
    ],
    "lenet5": [
        (*LENET, *AUGMENTED, "seed=0", "optimizer.lr=1e-3", "scheduler=onecycle", "model.init=xavier_uniform"),
        (*LENET, *AUGMENTED, "seed=1", "optimizer.lr=3e-3", "scheduler=cosine"),
    ],
    "convnet": [
        (*CONV, "seed=0", "optimizer=sgd", "optimizer.lr=2e-3", "optimizer.momentum=0.9", "model.conv_dropout=0.1"),
        (*CONV, "seed=1", "optimizer=sgd", "optimizer.lr=5e-3", "optimizer.momentum=0.0", "model.conv_dropout=0.2"),
    ],
}
WIDE = (*FC, "precision=fp64", "dataset.train_size=150", "model.dropout=0.2")  # the last batch has 30
STEP = ("scheduler=step", "scheduler.step_size=3", "scheduler.interval=step")
DOUBLE = {
    "sgd": (["optimizer=sgd", "optimizer.nesterov=true", "clip_grad_norm=0.5"], "optimizer.momentum", (0.9, 0.5)),
    "sgd without momentum": (["optimizer=sgd", *STEP], "scheduler.gamma", (0.5, 0.8)),
    "adam": (["scheduler=plateau", "scheduler.patience=0", "scheduler.factor=0.5"], "optimizer.weight_decay", (0, 0.1)),
    "amsgrad": (["+optimizer.amsgrad=true"], "optimizer.eps", (1e-8, 1e-3)),
    "adamw": (["optimizer=adamw", "scheduler=onecycle"], "optimizer.weight_decay", (0.01, 0.5)),
    "rmsprop": (["optimizer=rmsprop", "optimizer.centered=true"], "optimizer.alpha", (0.99, 0.9)),
    "rmsprop with momentum": (["optimizer=rmsprop", "scheduler=exponential"], "optimizer.momentum", (0.9, 0.0)),
    "label smoothing": (["accumulate_steps=2"], "loss.label_smoothing", (0.0, 0.1)),
    "limited": (["limit_batches=3", "log_every=3"], "model.init", ("normal", "zeros")),
    "mse": (["loss=mse", "model.batchnorm=true"], "optimizer.lr", (1e-2, 1e-3)),
    "rounded": (["loss=rounded_mse", "model.out_features=1"], "optimizer.lr", (1e-2, 1e-3)),
    "points": (["dataset=xor", "batch_size=2", "optimizer=sgd"], "optimizer.lr", (1e-2, 1e-3)),
}


def leaves(state, path=""):
    """What a checkpoint holds, by its place in it; less the time that it took."""
    if isinstance(state, dict | list | tuple):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        return {place: leaf for key, value in items for place, leaf in leaves(value, f"{path}.{key}").items()}
    return {} if path == ".seconds" or isinstance(state, str | None) else {path: state}


def assert_alike(lanes, runs, relative):
    for lane, run in zip(lanes, runs, strict=True):
        assert column(lane, "lr") == column(run, "lr")
        assert column(lane, "loss") == pytest.approx(column(run, "loss"), rel=relative)


@pytest.mark.parametrize("name", SINGLE)
def test_two_hundred_steps_in_float32(name, tmp_path):
    lanes, runs = in_lanes(tmp_path / "lanes", SINGLE[name]), alone(tmp_path / "alone", SINGLE[name])
    assert len(column(lanes[0], "loss")) == 200
    assert_alike(lanes, runs, 1e-5)


@pytest.mark.parametrize("name", DOUBLE)
def test_every_rule_in_float64(name, tmp_path):
    """Rows of all metrics and the last checkpoint too, down to what the optimizer and the generators hold."""
    overrides, key, values = DOUBLE[name]
    wide = [word for word in WIDE if not (name == "points" and word.startswith("dataset."))]
    pair = [(*wide, *overrides, f"seed={seed}", f"{key}={value}") for seed, value in enumerate(values)]
    lanes, runs = in_lanes(tmp_path / "lanes", pair), alone(tmp_path / "alone", pair)
    assert_alike(lanes, runs, 1e-10)
    for lane, run in zip(lanes, runs, strict=True):
        one, other = (leaves(torch.load(folder / "checkpoints" / "last.pt")) for folder in (lane, run))
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9, check_stride=True)
        header = (run / "metrics.csv").read_text().partition("\n")[0]
        assert (lane / "metrics.csv").read_text().partition("\n")[0] == header
        for figure in header.split(","):
            if "second" not in figure:
                assert column(lane, figure, "metrics.csv") == pytest.approx(column(run, figure, "metrics.csv"))


def test_bf16(tmp_path):
    pair = [(*FC, "precision=bf16", f"optimizer.lr={lr}", "model.dropout=0.1") for lr in (1e-3, 1e-2)]
    assert_alike(in_lanes(tmp_path / "lanes", pair), alone(tmp_path / "alone", pair), 1e-2)
