"""A run whose folder is taken away, or whose clock is set back."""

import json
import shutil
import time

import pytest
from faults import RUN, dlhw

from dlhw.folder.checkpoint import Checkpoints


@pytest.fixture(autouse=True)
def a_place_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")


@pytest.fixture
def after_the_first_row(monkeypatch):
    def set_up(happens) -> None:
        keep = Checkpoints.keep

        def keep_and_go_on(self, trainer, *args):
            keep(self, trainer, *args)
            if trainer.epoch == 1:
                happens()

        monkeypatch.setattr(Checkpoints, "keep", keep_and_go_on)

    return set_up


def test_a_folder_that_is_taken_away_is_told_of_and_not_made_again(after_the_first_row, tmp_path):
    after_the_first_row(lambda: shutil.rmtree(tmp_path / "run"))
    code, told = dlhw(*RUN, "hydra.run.dir=run")
    assert code == 1
    (line,) = told.splitlines()
    assert "run/" in line
    assert "No such file or directory" in line
    assert not (tmp_path / "run").exists()


def test_checkpoints_that_are_taken_away_are_made_again(after_the_first_row, tmp_path):
    after_the_first_row(lambda: shutil.rmtree(tmp_path / "run" / "checkpoints"))
    assert dlhw(*RUN, "hydra.run.dir=run") == (0, "")
    assert (tmp_path / "run" / "checkpoints" / "last.pt").is_file()


def test_a_clock_that_is_set_back(after_the_first_row, monkeypatch, tmp_path):
    """An hour, in the middle of the run: durations are of another clock."""
    clock = time.time
    after_the_first_row(lambda: monkeypatch.setattr(time, "time", lambda: clock() - 3600))
    assert dlhw(*RUN, "hydra.run.dir=run") == (0, "")
    lines = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    column = lines[0].split(",").index("seconds")
    assert all(0 < float(line.split(",")[column]) < 60 for line in lines[1:])
    assert 0 < json.loads((tmp_path / "run" / "results.json").read_text())["seconds"] < 60
    assert dlhw("resume=run", "epochs=4") == (0, "")
