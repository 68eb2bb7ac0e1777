"""Several processes train what one does: the same losses and rows, and one set of files."""

import json
from pathlib import Path

import pytest
import torch
from processes import TINY, alone, last, losses, rows, succeed, together

FC = (*TINY, "model=fc", "model.hidden=[16]")
CASES = {  # 201 samples in batches of 40 leave a last one of a single sample: most ranks have none of it
    "fc": (*FC, "batch_size=40", "epochs=17"),
    "lenet5": (*TINY, "model=lenet5", "batch_size=40", "epochs=17"),
    "augmented": (
        *TINY,
        "model=lenet5",
        "dataset.augment.crop_padding=2",
        "dataset.augment.flip=true",
        "dataset.augment.rotation=15",
        "optimizer=sgd",
        "optimizer.lr=0.1",
        "batch_size=30",
        "epochs=15",
    ),
    "clipped": (*FC, "batch_size=10", "accumulate_steps=3", "clip_grad_norm=0.5", "epochs=15", "log_every=2"),
}


@pytest.mark.parametrize(
    ("name", "world_size"),
    [("fc", 2), ("lenet5", 4), ("augmented", 2), ("clipped", 3)],
)
def test_losses_and_rows_are_those_of_one_process(name, world_size, own_folder):
    one, many = own_folder / "one", own_folder / "many"
    alone(*CASES[name], f"hydra.run.dir={one}")
    succeed(world_size, *CASES[name], f"hydra.run.dir={many}")
    assert losses(many)[:100] == pytest.approx(losses(one)[:100], rel=1e-5)
    assert len(losses(many)) == len(losses(one))
    assert len(rows(many)) == len(rows(one))
    for ours, theirs in zip(rows(many), rows(one), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-7)


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> tuple[Path, str]:
    """A run of three processes with whatever can be asked for, and what it printed."""
    folder = tmp_path_factory.mktemp("everything") / "run"
    asked = (
        "model=lenet5",
        "model.batchnorm=true",
        "model.dropout=0.2",
        "plots=all",
        "batch_size=50",
        "dataset.train_size=210",
    )
    typed = {word.partition("=")[0]: word for word in (*TINY, *asked)}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parent)
        out = succeed(
            3,
            *typed.values(),
            "epochs=4",
            "test_every_epoch=true",
            "early_stopping.patience=9",
            f"hydra.run.dir={folder}",
        )
    return folder, out


def test_one_set_of_files_and_lines(everything):
    folder, out = everything
    assert [path.name for path in folder.parent.iterdir()] == ["run"]
    results = json.loads((folder / "results.json").read_text())
    assert results["world_size"] == 3
    assert results["test_evaluations"] == 5
    assert json.loads((folder / "status.json").read_text())["status"] == "finished"
    assert {path.name for path in (folder / "plots").iterdir()} >= {"curves.png", "confusion_matrix.png"}
    assert "3 processes" in out
    assert out.count("epoch 4/4") == 1
    assert "3 processes" in (folder / "dlhw.log").read_text()


def test_the_final_test_is_of_the_whole_split(everything):
    """In which the last epoch's own figures agree, though those were summed over the ranks."""
    folder, _ = everything
    results, table = json.loads((folder / "results.json").read_text()), rows(folder)
    best = next(row for row in table if row["epoch"] == results["best_epoch"])
    assert results["test/accuracy"] == best["test/accuracy"]
    assert results["test/loss"] == pytest.approx(best["test/loss"], rel=1e-5)


def test_checkpoints_have_the_names_of_one_process(everything):
    folder, _ = everything
    model, optimizer = last(folder)["model"], last(folder)["optimizer"]
    assert any(name.endswith("running_mean") for name in model)
    assert not any("module." in name for name in model)
    assert set(optimizer["state"]) == set(range(len(optimizer["param_groups"][0]["params"])))


@pytest.mark.parametrize(("before", "after"), [(1, 2), (3, 2)])
def test_another_number_of_processes_goes_on(before, after, own_folder):
    whole, run = own_folder / "whole", own_folder / "run"
    words = (*FC, "dataset.augment.rotation=10", "batch_size=40")
    alone(*words, "epochs=4", f"hydra.run.dir={whole}")
    succeed(before, *words, "epochs=2", f"hydra.run.dir={run}")
    assert "going on after epoch 2" in succeed(after, f"resume={run}", "epochs=4")
    assert losses(run) == pytest.approx(losses(whole), rel=1e-5)
    assert rows(run)[-1] == pytest.approx(rows(whole)[-1], rel=1e-4)
    assert last(run)["model"].keys() == last(whole)["model"].keys()
    assert "is finished after 4 epochs" in succeed(2, f"resume={run}")


def test_broken_off_within_an_epoch(own_folder):
    """The state of a step is kept by all ranks together; the one that goes on ends as a run alone."""
    (own_folder / "nets.py").write_text(
        "import pathlib, torch\n"
        "class Net(torch.nn.Linear):\n"
        "    def __init__(self, num_classes: int, in_features: int) -> None:\n"
        "        super().__init__(in_features, num_classes)\n"
        "        self.steps = 0\n"
        "    def forward(self, inputs):\n"
        "        self.steps += self.training\n"
        "        if self.steps == 9 and not pathlib.Path('go on').exists():\n"
        "            raise OSError('no such disk')\n"
        "        return super().forward(inputs.flatten(1))\n"
    )
    own = ("model._target_=nets.Net", "model.num_classes=10", "+model.in_features=784", "checkpoint_every=4")
    words = (*TINY, "trust=[nets]", *own, "dataset.image_size=28", "epochs=3", "batch_size=40")
    for ended in together(2, *words, "hydra.run.dir=run"):
        assert ended.code == 1
    assert last(Path("run"))["passes"]["losses"].shape == (2,)  # of step 7 and 8; six steps an epoch
    Path("go on").touch()
    assert "going on after epoch 1, step 8" in succeed(2, "resume=run", "trust=[nets]")
    alone(*words, "hydra.run.dir=whole")
    assert losses(Path("run")) == pytest.approx(losses(Path("whole")), rel=1e-5)
    assert rows(Path("run"))[1:] == [pytest.approx(row, rel=1e-4) for row in rows(Path("whole"))[1:]]


def test_dropout_differs_by_rank(own_folder):
    """A batch of one sample four times has one gradient on all ranks, unless they drop different units."""
    (own_folder / "nets.py").write_text(
        "import os, pathlib, torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self, num_classes: int, in_features: int) -> None:\n"
        "        super().__init__()\n"
        "        self.line, self.drop = torch.nn.Linear(in_features, num_classes), torch.nn.Dropout(0.5)\n"
        "        self.drop.register_forward_hook(self.keep)\n"
        "    def forward(self, inputs):\n"
        "        return self.line(self.drop(torch.ones_like(inputs.flatten(1))) * inputs.flatten(1))\n"
        "    def keep(self, module, args, outputs):\n"
        "        if module.training and outputs.shape[0] > 2:\n"
        "            file = pathlib.Path(f'dropped{os.environ[\"RANK\"]}.pt')\n"
        "            file.exists() or torch.save((self.line.weight.detach().clone(), outputs.detach()), file)\n"
    )
    own = ("trust=[nets]", "model._target_=nets.Net", "model.num_classes=10", "+model.in_features=784")
    succeed(2, *TINY, *own, "dataset.image_size=28", "epochs=1", "batch_size=40", "hydra.run.dir=run")
    (weight, dropped), (same, otherwise) = (torch.load(f"dropped{rank}.pt") for rank in range(2))
    assert torch.equal(weight, same)
    assert not torch.equal(dropped, otherwise)


def test_early_stopping_and_plateau_decide_alike(own_folder):
    """Ranks that decided otherwise would wait for one another for ever."""
    words = (*FC, "optimizer.lr=0.1", "scheduler=plateau", "scheduler.patience=0", "early_stopping.patience=2")
    out = succeed(2, *words, "epochs=60", "hydra.run.dir=run")
    assert "stopping early" in out
    assert len({row["lr"] for row in rows(own_folder / "run")}) > 1
