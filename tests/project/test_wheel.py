"""A built wheel, unpacked elsewhere, runs `dlhw` from any folder with its configs inside."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(folder / "dist"), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_wheel_holds_configs_code_and_entry_points(site: Path) -> None:
    conf = ROOT / "conf"
    shipped = {path.relative_to(conf) for path in conf.rglob("*.yaml")}
    assert {path.relative_to(site / "dlhw" / "conf") for path in (site / "dlhw" / "conf").rglob("*.yaml")} == shipped
    assert (site / "hydra_plugins" / "dlhw_sweeper.py").is_file()
    assert not (site / "hydra_plugins" / "__init__.py").exists()
    (entry_points,) = site.glob("dlhw-*.dist-info/entry_points.txt")
    assert "dlhw = dlhw.cli:main" in entry_points.read_text()
    assert "dlhw-eval = dlhw.eval_cli:main" in entry_points.read_text()


def test_wheel_runs_from_any_folder(site: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dlhw.cli", "model=fc", "model.hidden=[8]", "epochs=1", "plots=none"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("outputs/runs/fc_digits/*/results.json"))) == 1
    where = [sys.executable, "-c", "import dlhw.config.shipped as c; print(c.__file__, c.conf_dir())"]
    told = subprocess.run(
        where, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    ).stdout.split()
    assert [Path(path).is_relative_to(site) for path in told] == [True, True]
