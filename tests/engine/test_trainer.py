"""The training loop against a plain one written out here, in float64."""

import copy
import math
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

from dlhw.dataset.batches import Resident
from dlhw.dataset.preprocess import Preprocess
from dlhw.errors import RunFailed
from dlhw.metrics import ConfusionMetrics
from dlhw.scheduler import schedule
from dlhw.tasks.classification import accuracy
from dlhw.trainer import Trainer

CPU = torch.device("cpu")
N, BATCH, CLASSES = 58, 8, 3  # 7 batches of 8, and one of 2


def data(n: int = N, seed: int = 0) -> tuple[Tensor, Tensor]:
    """uint8 images (n, 1, 4, 4) and classes."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (n, 1, 4, 4), generator=generator, dtype=torch.uint8)
    return images, torch.randint(CLASSES, (n,), generator=generator)


def resident(n: int = N, seed: int = 0, dtype: torch.dtype = torch.float64) -> Resident:
    split = Resident(*data(n, seed))
    split.preprocess = Preprocess(dtype=dtype)
    return split


def counting_hits(device: torch.device = CPU, finish=accuracy) -> ConfusionMetrics:
    return ConfusionMetrics(CLASSES, device, lambda outputs: outputs.argmax(1), finish)


def net(batchnorm: bool = False) -> nn.Module:
    torch.manual_seed(0)
    norm = [nn.BatchNorm1d(8)] if batchnorm else []
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), *norm, nn.Tanh(), nn.Linear(8, CLASSES)).double()


def trainer(
    model: nn.Module | None = None, lr: float = 0.1, momentum: float = 0.9, scheduled=None, **options
) -> Trainer:
    model = net() if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    parts = {
        "loss_fn": nn.CrossEntropyLoss(),
        "optimizer": optimizer,
        "schedule": schedule.none(optimizer) if scheduled is None else scheduled(optimizer),
        "metrics": counting_hits,
        "train": resident(),
        "val": resident(20, seed=1),
        "shuffle": torch.Generator().manual_seed(3),
        "augment": torch.Generator().manual_seed(4),
        "batch_size": BATCH,
        "eval_batch_size": 7,
        "device": CPU,
    }
    return Trainer(model, **{**parts, **options})


@dataclass
class Plain:
    """What the plain loop saw in one epoch."""

    losses: list[float] = field(default_factory=list)  # of each step
    sample_losses: list[float] = field(default_factory=list)
    hits: int = 0
    norms: list[float] = field(default_factory=list)


def plain_epoch(model, optimizer, shuffle, batch_size=BATCH, clip=None, limit=None, n=N) -> Plain:
    """One epoch as a textbook has it: index, forward, backward, step, .item()."""
    images, targets = data(n)
    order = torch.randperm(n, generator=shuffle)
    seen = Plain()
    model.train()
    for start in list(range(0, n, batch_size))[:limit]:
        rows = order[start : start + batch_size]
        outputs = model(images[rows].double() / 255)
        loss = nn.functional.cross_entropy(outputs, targets[rows])
        optimizer.zero_grad()
        loss.backward()
        if clip is not None:
            seen.norms.append(nn.utils.clip_grad_norm_(model.parameters(), clip).item())
        optimizer.step()
        seen.losses.append(loss.item())
        seen.sample_losses += nn.functional.cross_entropy(outputs, targets[rows], reduction="none").tolist()
        seen.hits += int((outputs.argmax(1) == targets[rows]).sum())
    return seen


def plain(lr: float = 0.1, model: nn.Module | None = None):
    model = net() if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    return model, optimizer, torch.Generator().manual_seed(3)


def assert_same_weights(one: nn.Module, other: nn.Module, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(one.state_dict(), other.state_dict(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("batchnorm", [False, True])
@pytest.mark.parametrize("batch_size", [2, 8, 29, 58, 1000])
def test_rows_and_steps_are_those_of_a_plain_loop(batch_size, batchnorm):
    ours = trainer(net(batchnorm), batch_size=batch_size)
    model, optimizer, shuffle = plain(model=net(batchnorm))
    steps = -(-N // batch_size)
    for epoch, row in enumerate(ours.fit(3), start=1):
        seen = plain_epoch(model, optimizer, shuffle, batch_size)
        assert ours.steps.loss == pytest.approx(seen.losses, rel=1e-12)
        assert ours.steps.lr == [0.1] * steps
        assert (ours.steps.epoch, ours.steps.first) == ([epoch] * steps, (epoch - 1) * steps + 1)
        assert row["train/loss"] == pytest.approx(math.fsum(seen.sample_losses) / N, rel=1e-12)
        assert row["train/accuracy"] == seen.hits / N
        assert (row["epoch"], row["step"], row["lr"]) == (epoch, epoch * steps, 0.1)
        assert row["samples_per_second"] == pytest.approx(N / row["seconds"])
    assert_same_weights(ours.model, model)


def test_a_short_last_batch_weighs_by_its_samples():
    """The mean of the batches' losses would be another number."""
    ours = trainer()
    row = next(ours.fit(1))
    sizes = [8] * 7 + [2]
    weighted = sum(loss * n for loss, n in zip(ours.steps.loss, sizes, strict=True)) / N
    assert row["train/loss"] == pytest.approx(weighted, rel=1e-12)
    assert abs(row["train/loss"] - sum(ours.steps.loss) / 8) > 1e-4


@pytest.mark.parametrize("n", [48, 54, 58, 51])  # 58 and 51: the last step has a full batch and a short one
@pytest.mark.parametrize("accumulate_steps", [2, 3, 10])
def test_accumulated_batches_step_as_one_large_batch(accumulate_steps, n):
    small = trainer(train=resident(n), batch_size=BATCH, accumulate_steps=accumulate_steps, clip_grad_norm=0.5)
    large = trainer(train=resident(n), batch_size=BATCH * accumulate_steps, clip_grad_norm=0.5)
    for ours, oracle in zip(small.fit(3), large.fit(3), strict=True):
        assert small.steps.loss == pytest.approx(large.steps.loss, rel=1e-10)
        assert ours["train/loss"] == pytest.approx(oracle["train/loss"], rel=1e-10)
        assert ours["train/accuracy"] == oracle["train/accuracy"]
        assert ours["step"] == oracle["step"]
    assert_same_weights(small.model, large.model, 1e-10)


def test_clip_grad_norm_is_torchs():
    ours = trainer(lr=1.0, clip_grad_norm=0.3)
    model, optimizer, shuffle = plain(lr=1.0)
    for _ in ours.fit(2):
        seen = plain_epoch(model, optimizer, shuffle, clip=0.3)
        assert max(seen.norms) > 0.3  # something is clipped
        assert ours.steps.loss == pytest.approx(seen.losses, rel=1e-12)
    assert_same_weights(ours.model, model)
    free = trainer(lr=1.0)
    list(free.fit(2))
    assert not torch.allclose(free.model[1].weight, ours.model[1].weight)


@pytest.mark.parametrize("limit", [1, 3, 8, 100])
def test_limit_batches_stops_every_pass(limit):
    ours = trainer(limit_batches=limit, eval_batch_size=4)
    model, optimizer, shuffle = plain()
    rows = list(ours.fit(2))
    seen = [plain_epoch(model, optimizer, shuffle, limit=limit) for _ in rows][-1]
    assert ours.steps.loss == pytest.approx(seen.losses, rel=1e-12)
    assert len(ours.steps.loss) == min(limit, 8)
    count = min(limit * BATCH, N)
    assert rows[-1]["train/accuracy"] == seen.hits / count
    assert rows[-1]["samples_per_second"] == pytest.approx(count / rows[-1]["seconds"])
    judged = min(limit * 4, 20)
    images, targets = data(20, seed=1)
    right = (model.eval()(images[:judged].double() / 255).argmax(1) == targets[:judged]).sum().item()
    assert rows[-1]["val/accuracy"] == right / judged


@pytest.mark.parametrize("eval_batch_size", [1, 7, 19, 20, 1000])
def test_evaluate_is_a_plain_mean_whatever_the_batch_size(eval_batch_size):
    ours = trainer(net(batchnorm=True), eval_batch_size=eval_batch_size)
    ours.train_epochs(1)  # moves the batch statistics
    images, targets = data(20, seed=1)
    kept: list[Tensor] = []
    row = ours.evaluate(ours.val, "val", keep=kept.append)
    outputs = copy.deepcopy(ours.model).eval()(images.double() / 255)
    assert row["val/loss"] == pytest.approx(nn.functional.cross_entropy(outputs, targets).item(), rel=1e-12)
    assert row["val/accuracy"] == (outputs.argmax(1) == targets).double().mean().item()
    torch.testing.assert_close(torch.cat(kept), outputs.detach(), rtol=1e-12, atol=1e-12)


def test_evaluate_changes_nothing():
    ours = trainer(nn.Sequential(net(batchnorm=True), nn.Dropout(0.5)))
    ours.train_epochs(1)
    before, rng = copy.deepcopy(ours.state_dict()), torch.get_rng_state()
    ours.evaluate(ours.val, "val")
    after = ours.state_dict()
    for name, tensor in before["model"].items():
        assert torch.equal(tensor, after["model"][name]), name
    assert torch.equal(rng, torch.get_rng_state())
    assert torch.equal(before["shuffle"], after["shuffle"])
    assert all(p.grad is None for p in ours.model.parameters())


def test_evaluating_in_between_does_not_change_the_training():
    with_val, without = trainer(net(batchnorm=True)), trainer(net(batchnorm=True), val=None)
    rows = list(with_val.fit(3)), list(without.fit(3))
    assert [row["train/loss"] for row in rows[0]] == [row["train/loss"] for row in rows[1]]
    assert not any(key.startswith("val/") for row in rows[1] for key in row)


def test_the_rate_of_a_row_is_that_of_its_last_step():
    ours = trainer(scheduled=lambda o: schedule.exponential(o, 0.5, "step"), batch_size=29)
    rows = list(ours.fit(2))
    assert [row["lr"] for row in rows] == [0.1 * 0.5, 0.1 * 0.5**3]
    assert ours.steps.lr == pytest.approx([0.1 * 0.5**2, 0.1 * 0.5**3])


def test_a_plateau_on_the_training_loss_lowers_the_rate_of_the_next_epoch():
    """No loss here is ever a tenth of the first."""
    plateau = {"metric": "train/loss", "patience": 0, "factor": 0.5, "threshold": 0.9}
    ours = trainer(scheduled=lambda o: schedule.plateau(o, **plateau))
    assert [row["lr"] for row in ours.fit(4)] == pytest.approx([0.1, 0.1, 0.05, 0.025])


class NaNAt(nn.Module):
    """Cross entropy, but NaN (or infinite) at its k-th call."""

    def __init__(self, k: int, value: float = math.nan) -> None:
        super().__init__()
        self.k, self.value, self.calls = k, value, 0

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.calls += 1
        loss = nn.functional.cross_entropy(outputs, targets)
        return loss * self.value if self.calls == self.k else loss


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("k", "where"),
    [(1, "epoch 1, step 1: "), (5, "epoch 1, step 5: "), (8, "epoch 1, step 8: "), (11, "epoch 2, step 11")],
)
def test_a_loss_that_is_not_finite_stops_the_run(k, where, value):
    ours = trainer(loss_fn=NaNAt(k, value), lr=0.0125, val=None)
    with pytest.raises(RunFailed) as failure:
        list(ours.fit(3))
    message = str(failure.value)
    assert message.startswith(where)
    assert str(value) in message
    assert "lr=0.0125" in message
    assert "\n" not in message


def test_a_rate_too_high_fails_by_itself():
    with pytest.raises(RunFailed, match=r"^epoch 1, step \d: the training loss is (nan|inf)\b.*lr=1e\+308"):
        list(trainer(lr=1e308).fit(5))


def test_fit_goes_on_where_it_stands():
    ours, whole = trainer(), trainer()
    epochs = [row["epoch"] for row in ours.fit(2)] + [row["epoch"] for row in ours.fit(5)]
    assert epochs == [1, 2, 3, 4, 5]
    list(whole.fit(5))
    assert_same_weights(ours.model, whole.model, 0)
    assert list(ours.fit(5)) == []


def test_a_state_taken_between_epochs_is_enough_to_go_on_bit_for_bit():
    def made() -> Trainer:
        model = nn.Sequential(net(batchnorm=True)[:4], nn.Dropout(0.3), net()[3])
        return trainer(model, scheduled=lambda o: schedule.step(o, 5, 0.5, "step"))

    torch.manual_seed(7)
    whole = made()
    torch.manual_seed(7)
    rows = list(whole.fit(2))
    state = copy.deepcopy(whole.state_dict())
    rows = list(whole.fit(4))
    again = made()
    torch.manual_seed(99)
    again.load_state_dict(state)
    assert [row["train/loss"] for row in again.fit(4)] == [row["train/loss"] for row in rows]
    assert_same_weights(again.model, whole.model, 0)
    assert again.steps == whole.steps


@pytest.mark.parametrize("every", [2, 3, 4, 7, 100])
def test_several_epochs_a_row_are_the_same_training_seen_less_often(every):
    """Rows at the epochs that `every` divides and at the last; the steps of those between come with them."""
    fine, coarse = (trainer(scheduled=lambda o: schedule.exponential(o, 0.9)) for _ in range(2))
    rows, steps = [], []
    for row in fine.fit(7):
        rows.append(row)
        steps += zip(fine.steps.epoch, fine.steps.lr, fine.steps.loss, strict=True)
    seen = []
    for row in coarse.fit(7, every):
        assert coarse.steps.first == len(seen) + 1
        seen += zip(coarse.steps.epoch, coarse.steps.lr, coarse.steps.loss, strict=True)
        untimed = {key: value for key, value in row.items() if key not in ("seconds", "samples_per_second")}
        assert untimed == {key: rows[row["epoch"] - 1][key] for key in untimed}
        assert row["samples_per_second"] == pytest.approx(coarse.samples / row["seconds"])
        assert coarse.samples == N * len(set(coarse.steps.epoch))
        assert row["epoch"] % every == 0 or row["epoch"] == 7
    assert seen == steps
    assert_same_weights(coarse.model, fine.model, 0)


def test_rows_stay_at_the_same_epochs_when_the_fit_goes_on():
    """At multiples of `every`, wherever the trainer stood; beside them only the last of each fit."""
    ours = trainer()
    assert [row["epoch"] for row in ours.fit(4, 3)] == [3, 4]
    assert [row["epoch"] for row in ours.fit(10, 3)] == [6, 9, 10]


def test_a_plateau_is_stepped_once_a_row():
    plateau = {"metric": "val/loss", "patience": 0, "factor": 0.5, "threshold": 0.9}
    ours = trainer(scheduled=lambda o: schedule.plateau(o, **plateau))
    assert [row["lr"] for row in ours.fit(8, 2)] == pytest.approx([0.1, 0.1, 0.05, 0.025])


@pytest.mark.parametrize("every", [1, 2, 3, 6])
@pytest.mark.parametrize("position", [0, 0.2, 0.7])
def test_first_below_is_the_first_step_of_them_all(position, every):
    """A threshold between two losses: the first step below it, whichever row it came with."""
    whole = trainer()
    losses = [loss for _ in whole.fit(6) for loss in whole.steps.loss]
    threshold = sorted(losses)[int(position * len(losses))] + 1e-9
    expected = next(step for step, loss in enumerate(losses, start=1) if loss < threshold)
    ours = trainer(loss_below=threshold)
    list(ours.fit(6, every))
    assert ours.first_below == expected
    assert whole.first_below is None  # nobody asked


def test_no_loss_below_and_none_equal_to_it():
    losses = [loss for ours in [trainer()] for _ in ours.fit(2) for loss in ours.steps.loss]
    ours = trainer(loss_below=min(losses))
    list(ours.fit(2))
    assert ours.first_below is None


def test_first_below_is_part_of_the_state():
    ours, again = trainer(loss_below=100.0), trainer(loss_below=100.0)
    list(ours.fit(1))
    assert ours.first_below == 1
    again.load_state_dict(copy.deepcopy(ours.state_dict()))
    list(again.fit(2))
    assert again.first_below == 1


def test_a_loss_that_is_not_finite_is_told_by_its_step_among_several_epochs():
    ours = trainer(loss_fn=NaNAt(19), val=None)
    with pytest.raises(RunFailed, match=r"^epoch 3, step 19: the training loss is nan \(\d\S* at step 1\); .*lr=0.1"):
        list(ours.fit(5, 5))


WAITS = ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__", "__index__")  # the host waits for these


@pytest.mark.parametrize("options", [{}, {"clip_grad_norm": 1.0}, {"accumulate_steps": 2}], ids=str)
def test_the_host_waits_as_often_in_a_long_epoch_as_in_a_short_one(options, monkeypatch):
    calls: list[str] = []

    def counting(name: str, original):
        def counted(self, *args, **kwargs):
            calls.append(name)
            return original(self, *args, **kwargs)

        return counted

    for name in WAITS:
        monkeypatch.setattr(torch.Tensor, name, counting(name, getattr(torch.Tensor, name)))
    monkeypatch.setattr(ConfusionMetrics, "PENDING_VALUES", 20 * CLASSES)  # so that the matrix is summed on the way
    counts = []
    for n, epochs in ((BATCH, 1), (4 * BATCH, 1), (100 * BATCH, 1), (BATCH, 7), (4 * BATCH, 7)):
        model = net()
        adam = torch.optim.Adam(model.parameters(), fused=True)
        unfinished = lambda: counting_hits(finish=lambda confusion: {})  # noqa: E731  the host's own sums do not count
        ours = trainer(model, optimizer=adam, metrics=unfinished, train=resident(n), **options)
        ours.train_epochs(1)  # the optimizer makes its state at the first step
        calls.clear()
        ours.train_epochs(epochs)
        counts.append(calls.copy())
    assert counts == [["tolist"]] * 5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: torch's own check of syncs needs one")
def test_on_cuda_nothing_waits_but_the_one_fetch():
    device = torch.device("cuda")
    model = net().to(device)
    split = Resident(*(part.to(device) for part in data(100 * BATCH)))
    split.preprocess = Preprocess(dtype=torch.float64)
    ours = trainer(
        model,
        optimizer=torch.optim.Adam(model.parameters(), fused=True),
        metrics=lambda: counting_hits(device),
        train=split,
        device=device,
        clip_grad_norm=1.0,
    )
    ours.train_epochs(1)
    torch.cuda.synchronize()
    fetched = []

    def fetch(losses, metrics, ranks):
        metrics.state()
        torch.cuda.set_sync_debug_mode("default")
        fetched.append(len(losses))
        return [0.0] * len(losses), [1.0] * CLASSES**2

    torch.cuda.set_sync_debug_mode("error")
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("dlhw.trainer.fetch", fetch)
            ours.train_epochs(1)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert fetched == [100]
