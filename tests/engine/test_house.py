"""The house: imports go down only. Read from the sources, so that no import has to happen."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dlhw

SOURCE = Path(dlhw.__file__).parent
TORCH = ("torch", "torchvision")


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


class Imports(ast.NodeVisitor):
    """What a module imports: on loading, and in all, its functions included. TYPE_CHECKING blocks count in neither."""

    def __init__(self, module: str, path: Path) -> None:
        self.package = module if path.stem == "__init__" else module.rpartition(".")[0]
        self.on_loading: set[str] = set()
        self.everywhere: set[str] = set()
        self.depth = 0
        self.visit(ast.parse(path.read_text(encoding="utf-8")))

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" not in ast.unparse(node.test):
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    def visit_Import(self, node: ast.Import) -> None:
        self.add(*(alias.name for alias in node.names))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            above = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
            base = ".".join([*above, *([base] if base else [])])
        names = [f"{base}.{alias.name}" for alias in node.names]
        self.add(*(name if name in MODULES else base for name in names))

    def add(self, *names: str) -> None:
        self.everywhere.update(names)
        if not self.depth:
            self.on_loading.update(names)


IMPORTS = {module: Imports(module, path) for module, path in MODULES.items()}


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def of_dlhw(module: str) -> set[str]:
    return {name for name in IMPORTS[module].everywhere if within(name, "dlhw")}


def modules_in(*packages: str) -> list[str]:
    return [module for module in MODULES if within(module, *packages)]


def test_the_house_was_read():
    assert {"dlhw.trainer", "dlhw.plot", "dlhw.plot.run", "dlhw.dataset.images"} <= set(MODULES)
    assert "dlhw.errors" in IMPORTS["dlhw.trainer"].on_loading
    assert "torch" in IMPORTS["dlhw.trainer"].on_loading
    assert "dlhw.jobs" in IMPORTS["dlhw.cli"].everywhere - IMPORTS["dlhw.cli"].on_loading
    assert "dlhw.one_run" not in IMPORTS["dlhw"].on_loading


def test_no_two_modules_import_each_other_however_indirectly():
    done: set[str] = set()

    def descend(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " imports ".join([*trail, module])
        if module not in done:
            for name in sorted(of_dlhw(module) & set(MODULES)):
                descend(name, (*trail, module))
            done.add(module)

    for module in MODULES:
        descend(module, ())


ANNEX = ("dlhw.plot", "dlhw.report")  # read what lies in outputs/, never the code that wrote it


@pytest.mark.parametrize("module", modules_in(*ANNEX))
def test_the_annex_imports_nothing_of_dlhw_outside_itself(module):
    """Plots know no reports; a report is drawn in the plots' style."""
    own = ("dlhw.plot",) if within(module, "dlhw.plot") else ANNEX
    assert {name for name in of_dlhw(module) if not within(name, *own, "dlhw.errors", "dlhw.files")} == set()


GROUND = ("dlhw.dataset", "dlhw.model", "dlhw.loss", "dlhw.scheduler", "dlhw.optimizer")


@pytest.mark.parametrize("module", modules_in(*GROUND))
def test_parts_import_only_themselves_and_errors(module):
    own = ".".join(module.split(".")[:2])
    assert {name for name in of_dlhw(module) if not within(name, own, "dlhw.errors", "dlhw.memory")} == set()


@pytest.mark.parametrize("module", modules_in("dlhw.config"))
def test_a_config_is_judged_without_anything_that_it_describes(module):
    assert {name for name in of_dlhw(module) if not within(name, "dlhw.config", "dlhw.errors")} == set()


@pytest.mark.parametrize(
    "module", modules_in(*GROUND, "dlhw.trainer", "dlhw.metrics", "dlhw.tasks", "dlhw.monitor", "dlhw.views")
)
def test_parts_and_engine_know_no_hydra(module):
    assert {name for name in IMPORTS[module].everywhere if within(name, "hydra", "omegaconf")} == set()


ENGINE = {  # what each may import of dlhw
    "dlhw.errors": set(),
    "dlhw.files": set(),
    "dlhw.metrics": set(),
    "dlhw.process": set(),
    "dlhw.machine": {"dlhw.process", "dlhw.errors", "dlhw.memory"},
    "dlhw.memory": {"dlhw.errors"},
    "dlhw.monitor": {"dlhw.errors"},
    "dlhw.distributed.lifeline": {"dlhw.errors"},
    "dlhw.distributed.ranks": {"dlhw.process", "dlhw.errors", "dlhw.dataset.shard"},
    "dlhw.distributed.torchrun": {"dlhw.distributed", "dlhw.process", "dlhw.progress"},
    "dlhw.passes": {"dlhw.distributed.ranks", "dlhw.metrics"},
    "dlhw.trainer": {
        "dlhw.errors",
        "dlhw.distributed.ranks",
        "dlhw.fused_step",
        "dlhw.memory",
        "dlhw.metrics",
        "dlhw.passes",
    },
    "dlhw.views": {"dlhw.summary"},
    "dlhw.summary": set(),
    **{module: {"dlhw.metrics", "dlhw.tasks"} for module in modules_in("dlhw.tasks")},
    **{module: {"dlhw.numpy_nn"} for module in modules_in("dlhw.numpy_nn")},
    **{
        module: {"dlhw.backend", "dlhw.numpy_nn", "dlhw.errors", "dlhw.loss", "dlhw.model"}
        for module in modules_in("dlhw.backend")
    },
    "dlhw.folder.record": {"dlhw.errors", "dlhw.files", "dlhw.passes"},
    "dlhw.folder.seal": set(),
    "dlhw.folder.checkpoint": {"dlhw.errors", "dlhw.files", "dlhw.monitor", "dlhw.folder.seal", "dlhw.trainer"},
}


@pytest.mark.parametrize("module", ENGINE)
def test_the_engine_imports_no_more_than_it_may(module):
    assert {name for name in of_dlhw(module) if not within(name, *ENGINE[module])} == set()


def test_the_trainer_knows_no_files_and_no_plots():
    foreign = ("hydra", "omegaconf", "matplotlib", "pathlib", "csv", "json", "dlhw.dataset", "dlhw.folder", "dlhw.plot")
    assert {name for name in IMPORTS["dlhw.trainer"].everywhere if within(name, *foreign)} == set()


@pytest.mark.parametrize("module", [m for m in MODULES if not within(m, *ANNEX, "dlhw.one_run")])
def test_only_a_run_asks_for_plots(module):
    """Beside one_run.py only commands may, and only when they are called."""
    assert {name for name in IMPORTS[module].on_loading if within(name, *ANNEX)} == set()


CONFIG = ("config.check", "config.compose", "config.explain", "config.saved", "config.schema", "config.shipped")
AHEAD = ("sweep.whole", "sweep.grammar", "sweep.workers")  # of torch, which workers import meanwhile
DOOR = ("cli", *CONFIG, *AHEAD, "errors", "files", "folder.fingerprint", "distributed.torchrun", "distributed.ranks")


@pytest.mark.parametrize("module", [f"dlhw.{name}" for name in DOOR])
def test_the_door_imports_no_torch_on_loading(module):
    reached, waiting = set(), {"dlhw", module}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        heavy = {found for found in IMPORTS[name].on_loading if within(found, *TORCH, "matplotlib", "sklearn")}
        assert heavy == set(), name
        waiting |= (IMPORTS[name].on_loading & set(MODULES)) - reached


def test_the_door_loads_without_torch():
    """The same for what other packages bring along."""
    code = "import sys, dlhw.cli; print(*sorted({'torch', 'torchvision', 'matplotlib', 'sklearn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
