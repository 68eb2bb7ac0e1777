"""Learning rates over a run, as a run uses them, against torch's own schedulers stepped by hand."""

import math

import pytest
import torch
from composing import compose_config
from torch import nn
from torch.optim import lr_scheduler

from dlhw.dataset.batches import Splits
from dlhw.dataset.preprocess import Preprocess
from dlhw.dataset.tensors import Tensors
from dlhw.errors import UserError
from dlhw.prepare import build_schedule
from dlhw.tasks.classification import Classification

TASK = Classification(None, nn.CrossEntropyLoss())
LR = 0.1
EPOCHS, STEPS = 4, 5  # of 50 images, 10 a batch


def optimizer(name: str = "sgd") -> torch.optim.Optimizer:
    weight = nn.Parameter(torch.zeros(1))
    return {
        "sgd": lambda: torch.optim.SGD([weight], lr=LR),
        "momentum": lambda: torch.optim.SGD([weight], lr=LR, momentum=0.9),
        "adam": lambda: torch.optim.Adam([weight], lr=LR),
        "rmsprop": lambda: torch.optim.RMSprop([weight], lr=LR),
    }[name]()


def schedule_of(opt: torch.optim.Optimizer, *overrides: str, train_size: int = 50):
    config = compose_config("batch_size=10", f"epochs={EPOCHS}", f"optimizer.lr={LR}", *overrides)
    part = Tensors(torch.zeros(train_size, 1), torch.zeros(train_size))
    splits = Splits(part, part if config.dataset.val_size else None, part, Preprocess(), None)
    return build_schedule(config, opt, splits, TASK)


def rates(opt, schedule, losses=None, steps: int = STEPS) -> list[list[float]]:
    """lr of each step of each epoch, with the calls that the trainer makes, and last the lr after the run."""
    table = []
    for epoch in range(EPOCHS):
        table.append([])
        for _ in range(steps):
            opt.step()
            table[-1].append(opt.param_groups[0]["lr"])
            schedule.after_step()
        schedule.after_epoch()
        schedule.after_row({"train/loss": (losses or [1.0] * EPOCHS)[epoch], "val/loss": 1.0})
    return [*table, [opt.param_groups[0]["lr"]]]


def by_hand(opt, scheduler, interval: str, steps: int = STEPS) -> list[list[float]]:
    table = []
    for _ in range(EPOCHS):
        table.append([])
        for _ in range(steps):
            opt.step()
            table[-1].append(opt.param_groups[0]["lr"])
            if interval == "step":
                scheduler.step()
        if interval == "epoch":
            scheduler.step()
    return [*table, [opt.param_groups[0]["lr"]]]


def length(interval: str) -> int:
    return EPOCHS * (STEPS if interval == "step" else 1)


SHAPES = {
    "step": (["scheduler.step_size=2", "scheduler.gamma=0.5"], lambda o, i: lr_scheduler.StepLR(o, 2, 0.5)),
    "exponential": (["scheduler.gamma=0.8"], lambda o, i: lr_scheduler.ExponentialLR(o, 0.8)),
    "cosine": (["scheduler.eta_min=0.01"], lambda o, i: lr_scheduler.CosineAnnealingLR(o, length(i), 0.01)),
}


@pytest.mark.parametrize("interval", ["step", "epoch"])
@pytest.mark.parametrize("name", SHAPES)
def test_rates_are_torchs(name, interval):
    overrides, make = SHAPES[name]
    ours, theirs = optimizer(), optimizer()
    schedule = schedule_of(ours, f"scheduler={name}", f"scheduler.interval={interval}", *overrides)
    assert rates(ours, schedule) == by_hand(theirs, make(theirs, interval), interval)


def test_none_keeps_the_rate():
    opt = optimizer()
    schedule = schedule_of(opt, "scheduler=none")
    assert rates(opt, schedule) == [[LR] * STEPS] * EPOCHS + [[LR]]
    assert schedule.state_dict() == {}


@pytest.mark.parametrize(("name", "interval"), [("step", "epoch"), ("exponential", "epoch"), ("cosine", "step")])
def test_the_interval_where_none_is_given(name, interval):
    overrides = ["scheduler.step_size=1"] if name == "step" else []
    assert schedule_of(optimizer(), f"scheduler={name}", *overrides).interval == interval


def test_step_every_batch_as_report_004_does():
    """Its StepLR(step_size=100 to 3200, gamma=0.9) is stepped in the batch loop; a closed form."""
    opt = optimizer()
    schedule = schedule_of(
        opt, "scheduler=step", "scheduler.interval=step", "scheduler.step_size=3", "scheduler.gamma=0.9"
    )
    flat = [lr for epoch in rates(opt, schedule) for lr in epoch]
    assert flat == pytest.approx([LR * 0.9 ** (step // 3) for step in range(EPOCHS * STEPS + 1)], rel=1e-12)


@pytest.mark.parametrize("interval", ["step", "epoch"])
def test_cosine_is_half_a_cosine_and_ends_at_eta_min(interval):
    opt = optimizer()
    schedule = schedule_of(opt, "scheduler=cosine", f"scheduler.interval={interval}", "scheduler.eta_min=0.02")
    table = rates(opt, schedule)
    assert table[-1] == [pytest.approx(0.02, rel=1e-9)]
    total = length(interval)
    seen = [lr for epoch in table[:-1] for lr in epoch][:: 1 if interval == "step" else STEPS]
    closed = [0.02 + (LR - 0.02) * (1 + math.cos(math.pi * t / total)) / 2 for t in range(total)]
    assert seen == pytest.approx(closed, rel=1e-9)


@pytest.mark.parametrize("kind", ["sgd", "momentum", "adam", "rmsprop"])
def test_onecycle_is_torchs_over_the_whole_run(kind):
    ours, theirs = optimizer(kind), optimizer(kind)
    schedule = schedule_of(ours, "scheduler=onecycle", "scheduler.max_lr=0.3")
    cycles = kind in ("momentum", "adam")  # plain SGD and RMSprop have no momentum to cycle
    oracle = lr_scheduler.OneCycleLR(theirs, 0.3, total_steps=EPOCHS * STEPS, cycle_momentum=cycles)
    table = rates(ours, schedule)
    assert table[:-1] == by_hand(theirs, oracle, "step")[:-1]
    assert max(lr for epoch in table for lr in epoch) == pytest.approx(0.3)
    assert table[-2][-1] == pytest.approx(0.3 / 25 / 1e4)  # the last step that is taken


def test_onecycle_takes_the_optimizers_rate_as_its_peak():
    opt = optimizer()
    assert max(lr for epoch in rates(opt, schedule_of(opt, "scheduler=onecycle")) for lr in epoch) == pytest.approx(LR)


@pytest.mark.parametrize(
    ("overrides", "steps"),
    [
        ([], 6),  # 53 images in tens
        (["accumulate_steps=2"], 3),
        (["accumulate_steps=4"], 2),
        (["limit_batches=4"], 4),
        (["limit_batches=4", "accumulate_steps=3"], 2),
        (["limit_batches=100"], 6),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["onecycle", "cosine"])
def test_the_length_counts_steps_that_are_taken(name, overrides, steps):
    opt = optimizer()
    schedule = schedule_of(opt, f"scheduler={name}", *overrides, train_size=53)
    total = schedule.scheduler.total_steps if name == "onecycle" else schedule.scheduler.T_max
    assert total == EPOCHS * steps
    rates(opt, schedule, steps=steps)
    assert schedule.scheduler.last_epoch == total


@pytest.mark.parametrize("mode", ["min", "max"])
def test_plateau_follows_a_column(mode):
    losses = [1.0, 0.9, 0.9, 0.9] if mode == "min" else [0.9, 1.0, 1.0, 1.0]
    ours, theirs = optimizer(), optimizer()
    options = [f"scheduler.mode={mode}", "scheduler.patience=0", "scheduler.factor=0.5", "scheduler.min_lr=0.03"]
    schedule = schedule_of(ours, "scheduler=plateau", "scheduler.metric=train/loss", *options)
    oracle = lr_scheduler.ReduceLROnPlateau(theirs, mode, factor=0.5, patience=0, min_lr=0.03)
    expected = []
    for loss in losses:
        expected.append([theirs.param_groups[0]["lr"]] * STEPS)
        oracle.step(loss)
    table = rates(ours, schedule, losses)
    assert table == [*expected, [theirs.param_groups[0]["lr"]]]
    assert [epoch[0] for epoch in table] == [LR, LR, LR, LR / 2, 0.03]  # 0.025 is below min_lr


def test_plateau_looks_at_val_loss_by_default_and_needs_it():
    assert schedule_of(optimizer(), "scheduler=plateau").metric == "val/loss"
    with pytest.raises(UserError, match=r"scheduler.metric=val/loss: dataset.val_size=0 leaves no validation split"):
        schedule_of(optimizer(), "scheduler=plateau", "dataset.val_size=0")
    with pytest.raises(UserError, match=r"scheduler.metric=test/loss: is one of train/loss, train/accuracy, val/loss"):
        schedule_of(optimizer(), "scheduler=plateau", "scheduler.metric=test/loss")


RAW = {
    "MultiStepLR": (["+scheduler.milestones=[1,3]"], lambda o: lr_scheduler.MultiStepLR(o, [1, 3])),
    "CosineAnnealingLR": (["+scheduler.T_max=4"], lambda o: lr_scheduler.CosineAnnealingLR(o, 4)),
    "PolynomialLR": (["+scheduler.total_iters=4"], lambda o: lr_scheduler.PolynomialLR(o, 4)),
}


@pytest.mark.parametrize("name", RAW)
def test_a_raw_torch_scheduler_as_target_goes_by_epoch(name):
    overrides, make = RAW[name]
    ours, theirs = optimizer(), optimizer()
    schedule = schedule_of(ours, f"scheduler._target_=torch.optim.lr_scheduler.{name}", *overrides)
    assert rates(ours, schedule) == by_hand(theirs, make(theirs), "epoch")


def test_a_raw_torch_scheduler_gets_no_facts():
    """Not even where its arguments bear the names of facts, as epochs and steps_per_epoch of this one do."""
    raw = ["scheduler._target_=torch.optim.lr_scheduler.OneCycleLR", "+scheduler.max_lr=0.3"]
    with pytest.raises(UserError, match="OneCycleLR"):
        schedule_of(optimizer("momentum"), *raw)
    opt = optimizer("momentum")
    schedule = schedule_of(opt, *raw, "+scheduler.total_steps=4")
    assert schedule.scheduler.total_steps == 4
    assert schedule.interval == "epoch"


def test_a_raw_plateau_is_refused_since_nothing_says_what_it_watches():
    with pytest.raises(UserError, match="use scheduler=plateau"):
        schedule_of(optimizer(), "scheduler._target_=torch.optim.lr_scheduler.ReduceLROnPlateau")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["scheduler=step", "scheduler.step_size=0"], "step_size=0: must be above 0"),
        (["scheduler=step", "scheduler.gamma=0"], "gamma=0: must be above 0"),
        (["scheduler=exponential", "scheduler.gamma=-1"], "gamma=-1: must be above 0"),
        (["scheduler=onecycle", "scheduler.max_lr=0"], "max_lr=0: must be above 0"),
    ],
    ids=str,
)
def test_refused(overrides, words):
    with pytest.raises(UserError) as refusal:
        schedule_of(optimizer(), *overrides)
    assert words in str(refusal.value)


@pytest.mark.parametrize("split_at", [1, 4, 7])
@pytest.mark.parametrize("name", ["step", "exponential", "cosine", "onecycle"])
def test_a_saved_state_goes_on_where_it_was(name, split_at):
    overrides = [f"scheduler={name}", *(["scheduler.step_size=2"] if name == "step" else [])]

    def started():
        opt = optimizer("momentum")
        return opt, schedule_of(opt, *overrides).scheduler

    def walk(opt, scheduler, count):
        seen = []
        for _ in range(count):
            opt.step()
            seen.append((opt.param_groups[0]["lr"], opt.param_groups[0]["momentum"]))
            scheduler.step()
        return seen

    whole = walk(*started(), 8)
    opt, scheduler = started()
    walk(opt, scheduler, split_at)
    states = opt.state_dict(), scheduler.state_dict()
    opt, scheduler = started()
    opt.load_state_dict(states[0])
    scheduler.load_state_dict(states[1])
    assert walk(opt, scheduler, 8 - split_at) == whole[split_at:]
