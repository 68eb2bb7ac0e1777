"""The first losses of seeded runs, as they came out when the engine was written: a refactor keeps them.

Those of lenet5_augmented date from when augmentation got a random stream of its own.

AMD EPYC, torch 2.14.1, 1 thread. Other CPUs round differently, which ten steps amplify little: 1e-5 relative.
"""

import pytest
from small_runs import read_csv, run

GOLDEN = {
    "fc": (
        ["model=fc", "model.hidden=[64,32]", "model.batchnorm=true", "model.dropout=0.1"],
        [2.415383, 2.113794, 2.082999, 1.856473, 1.71157, 1.644078, 1.568953, 1.630677, 1.54682, 1.514396],
    ),
    "lenet5": (
        ["model=lenet5", "optimizer.lr=0.01"],
        [2.305234, 2.238545, 2.142163, 2.288652, 1.705051, 1.479523, 1.273069, 1.3172, 1.139856, 1.090712],
    ),
    "lenet5_augmented": (
        ["model=lenet5", "dataset.augment.crop_padding=2", "dataset.augment.rotation=10", "optimizer=sgd"],
        [2.304306, 2.293933, 2.317837, 2.296506, 2.297502, 2.296033, 2.295856, 2.301195, 2.296078, 2.321827],
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_losses(name, tmp_path):
    overrides, golden = GOLDEN[name]
    run(tmp_path / "run", *overrides, "batch_size=40", "epochs=2", "dataset.train_size=200", "checkpoints=none")
    losses = [float(row["loss"]) for row in read_csv(tmp_path / "run" / "steps.csv")]
    assert len(losses) == 10
    assert losses == pytest.approx(golden, rel=1e-5)
