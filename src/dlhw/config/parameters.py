"""What a `_target_` takes, read from its source: to name the key that was meant, nothing has to be imported."""

import ast
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path

Definition = ast.ClassDef | ast.FunctionDef
WITHOUT_PARAMETERS = ("ABC", "nn.Module", "torch.nn.Module")  # as bases


def parameter_names(target: str) -> list[str] | None:
    """Those of a constructor or a function, by a dotted path, less *args and **kwargs; None where no source says."""
    module, _, name = target.rpartition(".")
    found = definition(module, name)
    if found is None:
        return None
    module, node = found
    return taken(node) if isinstance(node, ast.FunctionDef) else of_class(module, node)


def of_class(module: str, node: ast.ClassDef) -> list[str] | None:
    constructor = next((f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)
    if constructor is not None:
        return taken(constructor)[1:]  # less self
    named = [base for base in map(ast.unparse, node.bases) if base not in WITHOUT_PARAMETERS]
    bases = [parameter_names(f"{module}.{base}") for base in named]
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        inherited = [name for names in reversed(bases) for name in names or []]
        return None if None in bases else list(dict.fromkeys([*inherited, *fields(node)]))
    return bases[0] if bases else []


def taken(function: ast.FunctionDef) -> list[str]:
    parts = function.args
    return [part.arg for part in (*parts.posonlyargs, *parts.args, *parts.kwonlyargs)]


def fields(node: ast.ClassDef) -> list[str]:
    """The fields that a dataclass adds to its bases'."""
    annotated = [part for part in node.body if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)]
    return [ast.unparse(part.target) for part in annotated if "ClassVar" not in ast.unparse(part.annotation)]


def definition(module: str, name: str, trail: tuple[str, ...] = ()) -> tuple[str, Definition] | None:
    """A class or function, and the module that defines it: `from … import` is followed. trail: where it was not."""
    path = source_of(module)
    if path is None or f"{module}.{name}" in trail:
        return None
    trail = (*trail, f"{module}.{name}")
    for node in syntax(path).body:
        if isinstance(node, Definition) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom):
            package = module if path.stem == "__init__" else module.rpartition(".")[0]
            for alias in node.names:
                if name == (alias.asname or alias.name) or alias.name == "*":
                    there = name if alias.name == "*" else alias.name
                    found = definition(origin(node, package), there, trail)
                    if found is not None:
                        return found
    return None


def origin(node: ast.ImportFrom, package: str) -> str:
    """The module that a `from … import`, standing in a module of the package, imports from."""
    if not node.level:
        return node.module or ""
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


@cache
def source_of(module: str) -> Path | None:
    """The module's file, found without importing the packages above it, which importlib.util.find_spec does."""
    package, _, _ = module.rpartition(".")
    above = places(package) if package else None
    spec = None if package and above is None else PathFinder.find_spec(module, above)
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def places(package: str) -> list[str] | None:
    """Where a package's modules lie; None for what is no package."""
    path = source_of(package)
    return [str(path.parent)] if path is not None and path.stem == "__init__" else None


@cache
def syntax(path: Path) -> ast.Module:
    """Nothing where the file is not Python."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return ast.Module([], [])
