"""What is settled before a run begins: that batch norm can train on every batch, and the streams of random numbers."""

from types import SimpleNamespace

import pytest
from small_runs import FC, run

from dlhw.dataset.seeds import derive
from dlhw.errors import UserError
from dlhw.one_run import train
from dlhw.prepare import check_last_batch
from dlhw.summary import LayerSummary


def norm(*shape: int, kind: str = "BatchNorm2d") -> LayerSummary:
    return LayerSummary("n", kind, shape, 2, 2, 0)


ONE_VALUE = {
    "BatchNorm1d of a vector": norm(1, 8, kind="BatchNorm1d"),
    "BatchNorm2d of one pixel": norm(1, 8, 1, 1),
}
FINE = {
    "BatchNorm2d of a map": norm(1, 8, 2, 1),
    "no batch norm": norm(1, 8, kind="Linear"),
    "layer norm": norm(1, 8, kind="LayerNorm"),
}


def check(layer: LayerSummary, train_size: int, batch_size: int, limit_batches: int | None = None) -> None:
    layers = [norm(1, 8, 14, 14), layer, norm(1, 10, kind="Linear")]
    check_last_batch(layers, train_size, SimpleNamespace(batch_size=batch_size, limit_batches=limit_batches))


@pytest.mark.parametrize(
    ("train_size", "batch_size", "limit_batches"),
    [(201, 50, None), (201, 50, 5), (201, 50, 9), (1, 50, None), (200, 1, None), (200, 1, 3)],
)
@pytest.mark.parametrize("layer", ONE_VALUE)
def test_a_batch_of_one_is_refused_where_a_norm_has_one_value_a_channel(layer, train_size, batch_size, limit_batches):
    with pytest.raises(UserError, match=f"batch_size={batch_size} leaves a last batch of one of the {train_size}"):
        check(ONE_VALUE[layer], train_size, batch_size, limit_batches)
    for fine in FINE.values():
        check(fine, train_size, batch_size, limit_batches)


@pytest.mark.parametrize(
    ("train_size", "batch_size", "limit_batches"), [(200, 50, None), (202, 50, None), (201, 50, 4), (49, 50, None)]
)
@pytest.mark.parametrize("layer", ONE_VALUE)
def test_other_batches_are_not(layer, train_size, batch_size, limit_batches):
    check(ONE_VALUE[layer], train_size, batch_size, limit_batches)


@pytest.mark.parametrize("model", [(*FC, "model.batchnorm=true"), ("model=lenet5", "model.batchnorm=true")], ids=str)
def test_in_a_run(model, tmp_path):
    """lenet5's third convolution leaves one pixel."""
    with pytest.raises(UserError, match="change batch_size or "):
        run(tmp_path / "run", *model, "batch_size=199", "epochs=1")
    assert not (tmp_path / "run").exists()
    assert run(tmp_path / "limited", *model, "batch_size=199", "epochs=1", "limit_batches=1").rows[0]["step"] == 1


@pytest.mark.parametrize("seed", [0, 7])
def test_order_and_augmentation_draw_from_streams_of_their_own(seed, tmp_path, monkeypatch):
    seeds = []

    def noting(experiment, record):
        seeds.extend(g.initial_seed() for g in (experiment.trainer.shuffle, experiment.trainer.augment))
        return train(experiment, record)

    monkeypatch.setattr("dlhw.one_run.train", noting)
    run(tmp_path / "run", *FC, "epochs=1", f"seed={seed}")
    assert seeds == [seed, derive(seed, 1)]
