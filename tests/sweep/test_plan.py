"""Composing once and updating gives what composing in full gives; equal configs are planned once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf, open_dict

from dlhw.config.compose import composed
from dlhw.config.shipped import hydra_session
from dlhw.errors import UserError
from dlhw.sweep.plan import Composer, Planned, make_plan


@pytest.fixture
def composer() -> Iterator[Composer]:
    with hydra_session():
        yield Composer(GlobalHydra.instance().config_loader(), [])


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["model=fc"],
        ["optimizer.lr=0.5", "model=fc", "model.hidden=[3,4]", "+optimizer.maximize=true"],
        ["experiment=fashion/lenet5_best", "epochs=3", "~early_stopping"],
        ["experiment=mnist/simple_convnet", "model=convnet", "++model.dropout=0.1"],
        ["dataset=canvas", "loss=cross_entropy", "seed=7", "monitor={metric: val/loss, mode: min}"],
        ["name=mine", "scheduler=step", "scheduler.interval=step"],
        ["dataset=image_folder", "dataset.root=x", "data_dir='a b'"],
    ],
)
def test_an_update_equals_a_full_composition(overrides: list[str], composer: Composer) -> None:
    if "~early_stopping" in overrides:  # refused alike
        with pytest.raises(UserError) as by_update:
            composer.compose(overrides)
        with pytest.raises(UserError) as in_full:
            composed(overrides)
        assert str(by_update.value) == str(in_full.value)
        return
    composer.compose([*overrides[:-1], "seed=99"])  # what came before leaves no trace
    updated = composer.compose(overrides)
    whole = composed(overrides)
    with open_dict(whole):
        del whole["hydra"]
    assert OmegaConf.to_container(updated) == OmegaConf.to_container(whole)
    assert OmegaConf.to_container(updated, resolve=True) == OmegaConf.to_container(whole, resolve=True)


def test_files_are_read_once_for_each_choice_of_options(composer: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    load = composer.loader.load_configuration
    monkeypatch.setattr(composer.loader, "load_configuration", lambda *args: calls.append(args) or load(*args))
    for lr in (0.1, 0.2, 0.3):
        for model in ("fc", "lenet5"):
            assert composer.compose([f"model={model}", f"optimizer.lr={lr}"]).optimizer.lr == lr
    assert len(calls) == 2


def test_configs_share_nothing(composer: Composer) -> None:
    first, second = (composer.compose(["model=fc", "seed=3"]) for _ in range(2))
    first.model.hidden.append(5)
    assert second.model.hidden == [512]


def test_equal_configs_are_planned_once_and_keep_all_their_rows(composer: Composer) -> None:
    runs = [
        Planned(["model=fc", "optimizer.lr=0.001"], {}, [("rate", "0.001")]),
        Planned(["model=fc", "optimizer.lr=0.1"], {}, [("rate", "0.1")]),
        Planned(["model=fc"], {}, [("base", "base")]),
    ]
    plan = make_plan("study", runs, composer, [], "mine")
    assert plan.asked == 3
    assert [job.planned.rows for job in plan.jobs] == [[("rate", "0.001"), ("base", "base")], [("rate", "0.1")]]
    assert [job.name.rpartition("-")[0] for job in plan.jobs] == ["rate_0.001", "rate_0.1"]
    assert plan.folder.parent == Path("outputs/studies")


def test_the_run_list_names_the_folder(composer: Composer) -> None:
    def folder(*rates: float) -> Path:
        runs = [Planned([f"optimizer.lr={lr}"], {"optimizer.lr": lr}) for lr in rates]
        return make_plan("sweep", runs, composer, ["optimizer.lr"]).folder

    assert folder(0.1, 0.2) == folder(0.1, 0.2)
    assert folder(0.1, 0.2) != folder(0.1, 0.3)
    assert folder(0.1, 0.2).name.startswith("lenet5_digits-")


def test_an_empty_list_is_refused(composer: Composer) -> None:
    with pytest.raises(UserError, match="has no run"):
        make_plan("sweep", [], composer, [])
