"""What a command must not import before it is needed: each is a process of its own, that tells what it has loaded."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from small_runs import FC, TINY

from dlhw import cli

HEAVY = ("torch", "torchvision", "sklearn", "scipy", "matplotlib", "numpy")
COMPILER = ("torch._dynamo", "sympy")

# Runs what stands in its first argument with the others as its command line, and prints what it has loaded at the end.
LAUNCHER = """
import atexit, sys
code = sys.argv.pop(1)
sys.argv[0] = "dlhw"
loaded = lambda: [name for name in %r if name in sys.modules]
atexit.register(lambda: print("loaded:", *loaded(), flush=True))
exec(code)
"""


def launch(code: str, *words: str, folder: Path, **environment: str) -> tuple[int, str, list[str]]:
    """Exit code, all that was printed, and the heavy packages that were loaded."""
    line = [sys.executable, "-c", LAUNCHER % (HEAVY + COMPILER,), code, *words]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, env={**os.environ, **environment})
    printed, _, loaded = done.stdout.rpartition("loaded:")
    return done.returncode, printed + done.stderr, loaded.split()


DLHW = "from dlhw.cli import main; main()"
EVAL = "from dlhw.eval_cli import main; main()"
REPORT = "from dlhw.report_cli import main; main()"

ANSWERED = {
    "import": ("import dlhw", [], ""),
    "help": (DLHW, ["--help"], "dlhw trains"),
    "config": (DLHW, ["--cfg", "job", "--resolve", "model=fc"], "num_classes: 10"),
    "info": (DLHW, ["--info", "defaults"], "dataset"),
    "completion": (DLHW, ["-sc", "install=bash"], "complete "),
    "eval_help": (EVAL, ["--help"], "dlhw-eval evaluates"),
    "report_help": (REPORT, ["--help"], "usage: dlhw-report"),
}


@pytest.mark.parametrize("name", ANSWERED)
def test_what_trains_nothing_imports_nothing_heavy(name: str, tmp_path: Path) -> None:
    code, words, says = ANSWERED[name]
    ended, printed, loaded = launch(code, *words, folder=tmp_path)
    assert ended == 0, printed
    assert says in printed
    assert loaded == []


def test_a_completed_word_imports_nothing_heavy(tmp_path: Path) -> None:
    """What bash asks at a press of the tab key."""
    line = "dlhw model=len"
    environment = {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_HYDRA_COMP_TEST": ""}
    ended, printed, loaded = launch(DLHW, "-sc", "query=bash", folder=tmp_path, **environment)
    assert (ended, printed.split()) == (0, ["model=lenet5"])
    assert loaded == []


REFUSED = {
    "key": (DLHW, ["epohcs=2"], "did you mean epochs?"),
    "value": (DLHW, ["epochs=-1"], "epochs=-1: must be at least 1"),
    "choice": (DLHW, ["precision=fp8"], "is one of auto, fp32"),
    "option": (DLHW, ["model=lenet6"], "did you mean lenet5?"),
    "group": (DLHW, ["optimiser=adam"], "did you mean optimizer?"),
    "key_of_a_part": (DLHW, ["optimizer.lrr=1"], "did you mean optimizer.lr?"),
    "key_of_a_constructor": (DLHW, ["loss.reductoin=sum"], "did you mean loss.reduction?"),
    "key_to_be_added": (DLHW, ["optimizer.amsgrad=true"], "add it as +optimizer.amsgrad="),
    "key_of_a_data_set": (DLHW, ["dataset.trian_size=5"], "did you mean dataset.train_size?"),
    "eval_key": (EVAL, ["rnu=outputs"], "did you mean run?"),
    "report_path": (REPORT, [], "which runs?"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_composition_refuses_imports_nothing_heavy(name: str, tmp_path: Path) -> None:
    code, words, says = REFUSED[name]
    ended, printed, loaded = launch(code, *words, folder=tmp_path)
    assert (ended, printed.count("\n")) == (2, 1), printed
    assert says in printed
    assert loaded == []
    assert list(tmp_path.iterdir()) == []


def test_the_launcher_sees_what_is_loaded(tmp_path: Path) -> None:
    assert launch("import scipy", folder=tmp_path) == (0, "", ["scipy", "numpy"])


def test_a_run_imports_torch_and_none_of_what_it_does_not_need(tmp_path: Path) -> None:
    """Digits are read without scikit-learn; SGD and the FLOPs need no compiler; no plots, no matplotlib."""
    words = (*TINY, *FC, "epochs=1", "optimizer=sgd", "scheduler=cosine", "clip_grad_norm=1", "threads=1")
    ended, printed, loaded = launch(DLHW, *words, folder=tmp_path)
    assert ended == 0, printed
    assert loaded == ["torch", "numpy"]


@pytest.mark.parametrize("words", [[], ["hydra.help.template='all: $APP_CONFIG_GROUPS'"]], ids=repr)
def test_help_is_what_hydra_prints(words, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["dlhw", "--help", *words])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    told = []
    for command in (cli.main, cli.hydra_main):
        GlobalHydra.instance().clear()
        with suppress(SystemExit):  # Hydra's way to end
            command()
        told.append(capsys.readouterr().out)
    GlobalHydra.instance().clear()
    assert len(told[0].splitlines()) > 5
    assert told[0] == told[1]


@pytest.mark.parametrize("words", [["model=null"], ["model=lenet6"]], ids=repr)
def test_help_of_what_cannot_be_composed_is_one_line(words, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["dlhw", "--help", *words])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1)


def test_a_sweep_that_is_done_needs_no_torch(tmp_path: Path) -> None:
    words = ["-m", *FC, *TINY, "hydra/launcher=basic", "seed=0,1"]
    for says, needs_torch in (("2 to train", True), ("2 done already, 0 to train", False)):
        ended, printed, loaded = launch(DLHW, *words, folder=tmp_path)
        assert ended == 0, printed
        assert says in printed
        assert ("torch" in loaded) is needs_torch
