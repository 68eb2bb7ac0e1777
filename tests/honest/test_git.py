"""What git says of the user's own modules; without git, or outside of a checkout, a run goes on as well."""

import subprocess
import sys
from pathlib import Path

import pytest
from honest_runs import contents, run
from omegaconf import OmegaConf

from dlhw.folder.git import git_state
from dlhw.folder.provenance import provenance


def git(*words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *words], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def module() -> Path:
    """Committed, in a checkout where runs have left their outputs."""
    Path("mynets.py").write_text("class Net: ...\n")
    git("init", "-q")
    git("add", "mynets.py")
    git("commit", "-qm", "nets")
    Path("outputs").mkdir()
    Path("outputs/results.json").write_text("{}")
    return Path("mynets.py")


def test_a_clean_checkout(module: Path) -> None:
    assert git_state([module]) == {"commit": git("rev-parse", "HEAD"), "dirty": False}


def test_a_changed_file_makes_it_dirty(module: Path) -> None:
    module.write_text("class Net: x = 1\n")
    assert git_state([module]) == {"commit": git("rev-parse", "HEAD"), "dirty": True}
    git("add", "mynets.py")
    assert (git_state([module]) or {})["dirty"] is True


def test_so_does_a_module_that_is_not_in_it(module: Path) -> None:
    Path("mylosses.py").write_text("")
    assert (git_state([module]) or {})["dirty"] is False
    assert (git_state([module, Path("mylosses.py")]) or {})["dirty"] is True


def test_a_checkout_without_commits() -> None:
    git("init", "-q")
    Path("mynets.py").write_text("")
    assert git_state([Path("mynets.py")]) == {"commit": None, "dirty": True}


def test_no_modules_no_checkout_no_git(module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git_state([]) is None
    assert git_state([tmp_path / "site-packages" / "theirs.py"]) is None
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    outside = tmp_path.parent / "elsewhere.py"
    assert git_state([outside]) is None
    monkeypatch.setenv("PATH", "")
    assert git_state([module]) is None


def test_it_stands_in_the_results_of_whoever_names_a_module(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(Path.cwd()), *sys.path])
    names = ("model", "dataset", "loss", "optimizer", "scheduler", "backend")
    groups = {name: {"_target_": "torch.nn.X"} for name in names}
    assert provenance(OmegaConf.create(groups), Path("run"))["git"] is None
    config = OmegaConf.create({**groups, "model": {"_target_": "mynets.Net"}})
    assert provenance(config, Path("run"))["git"] == {"commit": git("rev-parse", "HEAD"), "dirty": False}


def test_a_run_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_git(*args: object, **kwargs: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr("dlhw.folder.git.subprocess.run", no_git)
    run("epochs=1")
    results = contents(Path("run/results.json"))
    assert (results["git_commit"], results["git"]) == (None, None)
