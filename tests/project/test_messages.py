"""Every message for a user has a test of its text: the raises are read from the sources, the texts from the tests.

A message counts as tested where some text of a test holds three words in a row of it that no other message has (any
three, where it shares all). A comment or a docstring is no such text. What brings messages about stands in
test_told.py and test_wording.py.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dlhw

SOURCES = Path(dlhw.__file__).parent
TESTS = Path(__file__).parents[1]
RAISED = ("UserError", "RunFailed", "ValueError", "NoTwin", "IdxError", "FetchError", "_wrong")
RUN = 3  # words in a row


def texts(node: ast.AST) -> Iterator[str]:
    """The constant texts in an expression, of f-strings the parts between braces."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "\0".join(part.value if isinstance(part, ast.Constant) else "" for part in node.values)
    else:
        for child in ast.iter_child_nodes(node):
            yield from texts(child)


def words(text: str) -> list[str]:
    return re.findall(r"[\w./=-]*\w", text.replace("\\", ""))


def runs(text: str) -> set[tuple[str, ...]]:
    """Every three words in a row of the parts of a text; all words of a part that has but two."""
    found: set[tuple[str, ...]] = set()
    for part in text.split("\0"):
        told = words(part)
        size = RUN if len(told) >= RUN else 2
        found |= {tuple(told[at : at + size]) for at in range(len(told) - size + 1)}
    return found


def raises() -> Iterator[tuple[str, set[tuple[str, ...]]]]:
    """Of each message where it is raised, and the runs of words by which it is known; none where it has no text."""
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = getattr(node.exc.func, "id", getattr(node.exc.func, "attr", ""))
                if name in RAISED:
                    told = [run for arg in node.exc.args for text in texts(arg) for run in runs(text)]
                    yield f"{path.relative_to(SOURCES)}:{node.lineno}", set(told)


def tables() -> Iterator[tuple[str, set[tuple[str, ...]]]]:
    """The lines that stand in for Hydra's, OmegaConf's and PyYAML's own, as `raises` has its messages."""
    for module in ("config/wording.py", "config/yaml_files.py"):
        for node in ast.walk(ast.parse((SOURCES / module).read_text(encoding="utf-8"))):
            for value in node.values if isinstance(node, ast.Dict) else []:
                for text in texts(value):
                    yield f"{module}:{value.lineno}", runs(re.sub(r"\{.*?\}+", "\0", text))


def told_in_tests() -> set[tuple[str, ...]]:
    """The runs of words in all texts of the tests."""
    found: set[tuple[str, ...]] = set()
    for path in (path for path in TESTS.rglob("*.py") if path.parent.name != "fuzz"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                node.value.value = ""  # a docstring
        for text in texts(tree):
            told = words(text)
            found |= {tuple(told[at : at + size]) for size in (2, RUN) for at in range(len(told) - size + 1)}
    return found


def untested(messages: list[tuple[str, set[tuple[str, ...]]]], known: set[tuple[str, ...]]) -> list[str]:
    shared = Counter(run for _, own in messages for run in own)
    alone = [(place, {run for run in own if shared[run] == 1} or own) for place, own in messages]
    return [f"{place} {sorted(own)[:3]}" for place, own in alone if own and not own & known]


def test_every_message_is_in_a_test() -> None:
    messages = [*raises(), *tables()]
    assert len(messages) > 300
    assert untested(messages, told_in_tests()) == []


NO_HERE, NO_THERE = [("no", "folder", "here")], [("no", "folder", "there")]


def test_what_counts_as_tested() -> None:
    here, there = ("a.py:1", runs("is no folder here")), ("b.py:2", runs("is no folder there"))
    assert untested([here, there], runs("it is no folder")) == [f"a.py:1 {NO_HERE}", f"b.py:2 {NO_THERE}"]
    assert untested([here, there], runs("no folder here")) == [f"b.py:2 {NO_THERE}"]
    assert untested([("c.py:3", set())], set()) == []
    assert untested([here, here], runs("it is no folder")) == []
    assert runs("a\0b c\0d e f g") == {("b", "c"), ("d", "e", "f"), ("e", "f", "g")}
