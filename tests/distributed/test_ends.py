"""However a process ends, all end, and one line tells."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import TINY, together

FC = (*TINY, "model=fc", "model.hidden=[8]", "epochs=2")
NET = """
import os, signal, torch
class Net(torch.nn.Module):
    def __init__(self, num_classes: int, in_channels: int, image_size: int, rank: int = 0, how: str = "") -> None:
        super().__init__()
        self.line = torch.nn.Linear(in_channels * image_size**2, num_classes)
        self.here, self.how, self.steps = os.environ["RANK"] == str(rank), how, 0
    def forward(self, inputs):
        self.steps += self.training
        if self.here and self.steps == 12:
            if self.how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError("a mistake of the model's")
        return self.line(inputs.flatten(1))
"""


def ending(how: str, rank: int, world_size: int = 2) -> tuple[list, dict]:
    Path("nets.py").write_text(NET)
    own = ("trust=[nets]", "model._target_=nets.Net", f"+model.rank={rank}", f"+model.how={how}", "batch_size=40")
    start = time.monotonic()
    ended = together(world_size, *TINY, *own, "epochs=100000", "hydra.run.dir=run")
    assert time.monotonic() - start < 40
    return ended, json.loads(Path("run/status.json").read_text())


def test_a_killed_process():
    rank = 2
    ended, status = ending("killed", rank, 3)
    line = f"a process of this run ended (rank {rank}: it was killed, or ran out of memory)"
    assert ended[rank].code == -signal.SIGKILL
    assert ended[0].code == 1
    assert ended[0].out.splitlines()[-1] == f"dlhw: {line}"
    assert [e.out for e in ended[1:]] == ["", ""]
    assert (status["status"], status["error"]) == ("failed", line)
    assert len(Path("run/metrics.csv").read_text().splitlines()) > 1


def test_the_first_process_killed():
    ended, status = ending("killed", 0, 3)
    assert ended[1].out == "dlhw: a process of this run ended (rank 0: it was killed, or ran out of memory)\n"
    assert ended[2].out == ""
    assert [e.code for e in ended] == [-signal.SIGKILL, 1, 1]
    assert status["status"] == "running"


def test_a_process_that_fails_alone():
    ended, status = ending("fails", 1)
    line = "a process of this run ended (rank 1: ValueError: a mistake of the model's)"
    assert [e.code for e in ended] == [1, 1]
    assert ended[0].out.splitlines()[-1] == f"dlhw: {line}"
    assert ended[1].out == ""
    assert (status["status"], status["error"]) == ("failed", line)


def test_the_first_process_fails_alone():
    ended, status = ending("fails", 0)
    assert [e.code for e in ended] == [1, 1]
    assert ended[0].out.splitlines()[-1].startswith("dlhw: the run failed: ValueError: a mistake of the model's")
    assert ended[1].out == ""
    assert status["status"] == "failed"


def test_a_loss_that_is_not_finite_is_told_once():
    first, second = together(2, *FC, "optimizer=sgd", "optimizer.lr=1e30", "hydra.run.dir=run")
    assert (first.code, second.code) == (1, 1)
    assert "dlhw: epoch 1, step 2: the training loss is" in first.out
    assert second.out == ""
    assert json.loads(Path("run/status.json").read_text())["status"] == "failed"


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("epohcs=3", "unknown key epohcs; did you mean epochs?"),
        ("optimizer.lr=-1", "optimizer (torch.optim.Adam): Invalid learning rate: -1"),
        (
            "device=cuda:0",
            "device=cuda:0: is one device, and this run has 2 processes here; use device=auto, cuda or cpu",
        ),
        (
            "seed=0 -m",
            "torchrun has many processes train one run; a sweep (-m, study=, seeds=) starts its own: use dlhw",
        ),
    ],
)
def test_what_cannot_be_used_is_told_once_and_nothing_is_written(word, told, own_folder):
    typed = {w.partition("=")[0]: w for w in (*FC, *word.split())}
    first, second = together(2, *typed.values())
    assert (first.code, first.out) == (2, f"dlhw: {told}\n")
    assert second.code in (0, 2)
    assert second.out == ""
    assert list(own_folder.iterdir()) == []


def test_what_one_process_alone_cannot_use_is_told_by_the_first(own_folder):
    """Here a second process that stands where no data is."""
    own = (
        "import os\nif os.environ['RANK'] == '1': raise OSError('no such disk')\nfrom torch.nn import Flatten as Net\n"
    )
    (own_folder / "nets.py").write_text(own)
    first, second = together(2, *TINY, "trust=[nets]", "model._target_=nets.Net")
    assert (first.code, second.code) == (2, 2)
    told = "dlhw: rank 1: model._target_=nets.Net: cannot be imported: no such disk"
    assert first.out.startswith(told)
    assert first.out.count("\n") == 1
    assert second.out == ""


def test_torchrun_itself(own_folder):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "dlhw"]
    done = subprocess.run([*torchrun, *FC, "hydra.run.dir=run"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
    results = json.loads((own_folder / "run" / "results.json").read_text())
    assert results["world_size"] == 2
    assert results["command"].startswith("dlhw dataset.train_size=201")
    assert done.stdout.count("test/accuracy") == 1
