"""A run that began and failed exits with 1, one that is interrupted with 130 or 143; its folder says so."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from outcomes import TINY, Outcome, only

from dlhw.folder import checkpoint

PATIENCE = 100  # seconds until a process is given up


def test_a_run_that_diverges(door: Callable[..., Outcome], a_place_of_its_own: Path) -> None:
    line = door(*TINY, "optimizer=sgd", "optimizer.lr=1e30").refusal(code=1)
    assert line.startswith("epoch 1, step ")
    assert "the likely cause is a learning rate too high for this net (lr=1e+30)" in line

    folder = only(a_place_of_its_own.glob("outputs/runs/fc_digits/*"))
    status = json.loads((folder / "status.json").read_text())
    assert (status["status"], status["error"]) == ("failed", line)
    assert status["traceback"].startswith("Traceback (most recent call last):")
    assert "RunFailed: epoch 1, step " in status["traceback"]
    assert not (folder / "results.json").exists()


def test_a_run_whose_code_fails(door: Callable[..., Outcome], a_place_of_its_own: Path) -> None:
    """It takes samples, as every model must before a run begins, and fails once it is trained."""
    (a_place_of_its_own / "faulty.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self):\n"
        "        super().__init__(784, 10)\n"
        "    def forward(self, inputs):\n"
        "        assert not self.training, 'no more\\nthan that'\n"
        "        return super().forward(inputs.flatten(1))\n"
    )
    line = door("model._target_=faulty.Net", "trust=[faulty]", "epochs=1", "name=faulty").refusal(code=1)
    assert line == "the run failed: AssertionError: no more (HYDRA_FULL_ERROR=1 shows the traceback)"
    status = json.loads(only(a_place_of_its_own.glob("outputs/runs/faulty/*/status.json")).read_text())
    assert status["status"] == "failed"
    assert "in forward" in status["traceback"]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped(sent: signal.Signals, code: int, a_place_of_its_own: Path) -> None:
    command = [str(Path(sys.executable).parent / "dlhw"), *TINY, "epochs=100000", "name=long"]
    # SIGINT is ignored by what a shell starts in the background, this test perhaps; the user's terminal starts it so:
    default = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=default
    )
    try:
        folder = wait_for_a_row(a_place_of_its_own, process)
        process.send_signal(sent)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == code
    assert "Traceback" not in errors
    assert json.loads((folder / "status.json").read_text())["status"] == "interrupted"
    assert not (folder / "results.json").exists()

    rows = len((folder / "metrics.csv").read_text().splitlines()) - 1
    kept = checkpoint.load(folder / "checkpoints/last.pt", torch.device("cpu"))
    assert kept["epoch"] in (rows, rows - 1)  # the row is written first
    assert kept["epoch"] >= 1
    assert kept["model"]["1.weight"].shape == (8, 784)
    assert list(folder.rglob("*.tmp")) == []


def wait_for_a_row(here: Path, process: "subprocess.Popen[str]") -> Path:
    """The run's folder, once its second row and its checkpoint are there."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for path in here.glob("outputs/runs/long/*/metrics.csv"):
            if len(path.read_text().splitlines()) > 2 and (path.parent / "checkpoints/last.pt").is_file():
                return path.parent
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("the run recorded no row")
