"""What makes two configs the same run, and what a run's folder is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlhw.config.compose import composed
from dlhw.config.shipped import hydra_session
from dlhw.sweep.identity import common_name, digest, identity, safe, short_name

BASE = ("model=fc", "dataset=digits")


def hashed(*overrides: str) -> str:
    with hydra_session():
        return digest(identity(composed([*BASE, *overrides])))


@pytest.fixture(scope="module")
def base() -> str:
    return hashed()


@pytest.mark.parametrize(
    "override",
    [
        "plots=none",
        "name=another",
        "dataset.num_workers=3",
        "dataset.resident=true",
        "on_error=stop",
        "rerun=true",
        "dry_run=true",
        "seeds=4",
        "epochs=20",  # its default
        "device=auto",
        "threads=auto",
        "optimizer.lr=1e-3",
        "hydra/launcher=basic",
    ],
)
def test_the_same_run(override: str, base: str) -> None:
    assert hashed(override) == base


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "epochs=21",
        "optimizer.lr=0.002",
        "optimizer=adamw",
        "model.hidden=[512,512]",
        "dataset.val_size=0.2",
        "device=cpu",
        "threads=1",
        "precision=fp64",
        "test_every_epoch=true",
        "monitor.metric=val/loss",
        "early_stopping.patience=3",
        "loss.label_smoothing=0.1",
        "scheduler=cosine",
        "checkpoints=none",
    ],
)
def test_another_run(override: str, base: str) -> None:
    assert hashed(override) != base


def test_where_the_data_lie_does_not_count() -> None:
    first, second = (hashed("dataset=mnist", f"data_dir={folder}") for folder in ("here", "/there"))
    assert first == second


def test_which_folder_of_images_counts() -> None:
    first, second = (hashed("dataset=image_folder", f"dataset.root={folder}") for folder in ("here", "/there"))
    assert first != second


def test_digest_minds_values_and_not_their_order() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"a": 1}) != digest({"a": "1"})
    assert digest({"b": [1, 2]}) != digest({"b": [2, 1]})
    assert digest({"lr": 1e-3}) == digest({"lr": 0.001})


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"optimizer.lr": 0.001, "seed": 2}, "lr=0.001,seed=2"),
        ({"model": "fc", "model.hidden": [8, 4]}, "model=fc,hidden=8,4"),
        ({"optimizer.lr": 1, "scheduler.lr": 2}, "optimizer.lr=1,scheduler.lr=2"),
        ({"experiment": "fashion/lenet5"}, "experiment=fashion-lenet5"),
        ({"model.batchnorm": True, "seed": None}, "batchnorm=true,seed=null"),
        ({}, "run"),
    ],
)
def test_short_names(values: dict[str, object], name: str) -> None:
    assert short_name(values) == name


@given(st.dictionaries(st.text(min_size=1), st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none())))
def test_short_names_are_names_of_folders(values: dict[str, object]) -> None:
    name = short_name(values)
    assert 0 < len(name) <= 60
    assert name == safe(name)
    assert not set(name) & set("/\\:*?\"<>| $'\n")
    assert name not in (".", "..")


def test_a_sweep_is_named_by_its_runs_or_by_what_is_swept() -> None:
    assert common_name(["fc_digits", "fc_digits"], ["seed"]) == "fc_digits"
    assert common_name(["fc_digits", "lenet5_digits"], ["model", "optimizer.lr"]) == "model_lr"
