"""Which runs go together, which alone, and why."""

import pytest
from planned_runs import FC, TINY, plan_all

from dlhw.lanes import group
from dlhw.lanes.group import evenly, grouped

RNN = ("plots=none", "device=cpu", "dataset=sine", "model=rnn", "batch_size=20")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("seed=0", "seed=7"),
        ("optimizer.lr=0.1", "optimizer.lr=0.2"),
        ("optimizer.betas=[0.9,0.999]", "optimizer.betas=[0.5,0.9]"),
        ("optimizer.weight_decay=0", "optimizer.weight_decay=0.1"),
        ("loss.label_smoothing=0", "loss.label_smoothing=0.1"),
        ("model.init=zeros", "model.init=xavier_uniform"),
        ("scheduler=step", "scheduler=cosine"),
        ("name=a", "name=b"),
        ("early_stopping.patience=2", "early_stopping.patience=3"),
        ("monitor.metric=val/loss", "monitor.metric=val/accuracy"),
    ],
)
def test_numbers_may_differ(one, other, tmp_path):
    grouping = grouped(plan_all(tmp_path, [(*FC, one), (*FC, other)]), None)
    assert [len(group) for group in grouping.together] == [2]
    assert grouping.alone == {}
    assert grouping.told() == "1 group(s) of lanes (2)"


@pytest.mark.parametrize(
    "other",
    ["batch_size=50", "model.hidden=[17]", "epochs=3", "optimizer=sgd", "model.dropout=0.1", "dataset.train_size=100",
     "precision=fp64", "model.activation=tanh", "clip_grad_norm=1", "dataset.normalize=pixel"],
)  # fmt: skip
def test_all_else_must_be_equal(other, tmp_path):
    grouping = grouped(plan_all(tmp_path, [FC, (*FC, other)]), None)
    assert grouping.together == []
    assert set(grouping.alone.values()) == {"no other run is like it"}


def test_rates_of_dropout_may_differ_but_not_whether_there_is_any(tmp_path):
    rates = [(*FC, f"model.dropout={rate}") for rate in (0.1, 0.5, 0.0)]
    grouping = grouped(plan_all(tmp_path, rates), None)
    assert [[folder.name for folder in group] for group in grouping.together] == [["0", "1"]]
    assert [folder.name for folder in grouping.alone] == ["2"]
    assert grouping.told() == "1 group(s) of lanes (2), 1 run(s) alone: no other run is like it"


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ((*FC, "backend=numpy"), "their backend is not torch"),
        ((*FC, "optimizer=sgd", "optimizer._target_=torch.optim.NAdam"), "torch.optim.NAdam has no rule for lanes"),
        ((*FC, "optimizer=sgd", "+optimizer.dampening=0.1", "optimizer.momentum=0.9"), "dampening makes"),
        ((*FC, "compile=true"), "compile=true"),
        (RNN, "vmap does not take RNN and MSE"),
        ((*FC, "loss=multi_margin"), "vmap does not take FC and MultiMarginLoss"),
        ((*FC, "dataset.train_size=5000"), "not prepared: dataset.train_size=5000"),
    ],
)
def test_alone_with_a_reason(overrides, reason, tmp_path):
    grouping = grouped(plan_all(tmp_path, [(*overrides, "seed=0"), (*overrides, "seed=1")]), None)
    assert grouping.together == []
    assert len(grouping.alone) == 2
    assert f"no group of lanes, 2 run(s) alone: {reason}" in grouping.told()


def test_a_net_that_shares_its_dropout_layer(tmp_path, monkeypatch):
    (tmp_path / "twice.py").write_text(
        "from torch import nn\n\nclass Net(nn.Module):\n"
        "    def __init__(self, num_classes):\n        super().__init__()\n"
        "        self.a, self.b, self.drop = nn.Linear(64, 64), nn.Linear(64, num_classes), nn.Dropout(0.1)\n"
        "    def forward(self, x):\n        return self.b(self.drop(self.a(self.drop(x.flatten(1)))))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = ("model._target_=twice.Net", "trust=[twice]")
    runs = [(*TINY, "dataset.image_size=8", *own, f"seed={seed}") for seed in (0, 1)]
    assert "dropout layer drop is used twice" in grouped(plan_all(tmp_path, runs), None, ["twice"]).told()


def test_groups_are_as_large_as_memory_and_max_lanes_allow(tmp_path, monkeypatch):
    folders = plan_all(tmp_path, [(*FC, f"seed={seed}") for seed in range(5)])
    sizes = {}
    for free in (10**12, 0):
        monkeypatch.setattr(group, "free_bytes", lambda device, free=free: free)
        sizes[free] = [[len(part) for part in grouped(folders, most).together] for most in (None, 2, 1)]
    assert sizes == {10**12: [[5], [2, 2, 1], []], 0: [[], [], []]}
    monkeypatch.setattr(group, "lane_bytes", lambda experiment: 100)
    monkeypatch.setattr(group, "free_bytes", lambda device: 380)
    assert [len(part) for part in grouped(folders, None).together] == [3, 2]
    assert "there is room for one lane" in grouped(folders, 1).told()


def test_a_lane_takes_what_its_parts_take(tmp_path):
    from dlhw.config.saved import load_config
    from dlhw.prepare import prepare

    def taken(*overrides):
        (folder,) = plan_all(tmp_path, [(*FC, *overrides)])
        return group.lane_bytes(prepare(load_config(folder)))

    weights = 4 * (784 * 16 + 16 + 16 * 10 + 10)
    data = (200 + 144 + 360) * (784 + 8)
    assert taken() == pytest.approx(9 * weights + data + 3 * 4 * 2**20, rel=0.01)  # an evaluation's batch of inputs
    assert taken("batch_size=200", "model.hidden=[4000,4000]") > 9 * 4 * 4000**2


@pytest.mark.parametrize(
    ("count", "most", "sizes"), [(10, 8, [5, 5]), (8, 8, [8]), (3, 1, [1, 1, 1]), (7, 3, [3, 2, 2])]
)
def test_evenly(count, most, sizes, tmp_path):
    folders = [tmp_path / str(index) for index in range(count)]
    groups = evenly(folders, most)
    assert [len(part) for part in groups] == sizes
    assert sorted(folder for part in groups for folder in part) == sorted(folders)
