"""The sources, read: nothing in them unpickles, evaluates text or calls a shell."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import dlhw

SOURCE = Path(dlhw.__file__).parents[1]
FILES = sorted([*(SOURCE / "dlhw").rglob("*.py"), *(SOURCE / "hydra_plugins").rglob("*.py")])
NEVER = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads", "cloudpickle.load",
    "joblib.load", "shelve.open", "marshal.loads", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all",
    "torch.hub.load", "torch.jit.load", "shutil.unpack_archive", "pty.spawn", "runpy.run_path",
    "importlib.import_module",
}  # fmt: skip
OF_YAML = {"safe_load", "safe_dump", "CSafeLoader", "SafeLoader", "YAMLError"}


def complaints(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "yaml":
            yield from (f"from yaml import {alias.name}" for alias in node.names if alias.name not in OF_YAML)
        if isinstance(node, ast.ImportFrom) and node.module in ("pickle", "os", "subprocess", "torch"):
            taken = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from sorted(taken & {*NEVER, "torch.load", "pickle.Unpickler"})
        if isinstance(node, ast.Call):
            yield from of_a_call(ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}, node)


def of_a_call(name: str, keywords: dict[str | None, str], node: ast.Call) -> Iterator[str]:
    if name in NEVER:
        yield name
    if name in ("torch.load", "torch.hub.load_state_dict_from_url") and keywords.get("weights_only") != "True":
        yield f"{name} without weights_only=True"
    if name.endswith("np.load") and keywords.get("allow_pickle") != "False":
        yield f"{name} without allow_pickle=False"
    if name == "yaml.load" and ast.unparse(node.args[1]) not in ("Loader", "CSafeLoader", "SafeLoader"):
        yield "yaml.load without a safe loader"
    if "shell" in keywords:
        yield "shell="
    if name.endswith("extractall") and keywords.get("filter") != "'data'":
        yield "extractall without filter='data'"


def test_every_source() -> None:
    found = {path.name: list(complaints(ast.parse(path.read_text(encoding="utf-8")))) for path in FILES}
    assert {name: told for name, told in found.items() if told} == {}
    assert len(FILES) > 150


def test_safetensors_is_imported_where_it_is_used() -> None:
    """In a function, so that nobody else waits for it."""
    lines = [line for path in FILES for line in path.read_text(encoding="utf-8").splitlines() if "import" in line]
    assert [line for line in lines if "safetensors" in line] == ["    from safetensors.torch import save_file"]


def test_the_only_unpickler_takes_arrays_alone() -> None:
    found = [path.name for path in FILES if "Unpickler" in path.read_text(encoding="utf-8")]
    assert found == ["cifar10.py"]


@pytest.mark.parametrize("text", [
    "eval('1')", "os.system('ls')", "torch.load(path)", "torch.load(path, weights_only=False)", "np.load(path)",
    "np.load(path, allow_pickle=True)", "yaml.load(text, yaml.Loader)", "yaml.unsafe_load(text)", "pickle.loads(data)",
    "subprocess.run('ls', shell=True)", "from yaml import Loader", "from pickle import loads", "archive.extractall(x)",
    "from torch import load", "hub(a)(torch.hub.load('a', 'b'))",
])  # fmt: skip
def test_what_would_be_found(text: str) -> None:
    assert list(complaints(ast.parse(text)))
