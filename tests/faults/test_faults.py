"""Whatever fails while a run writes, nothing is broken, one line says what failed, and the run can be gone on with."""

import re

import pytest
from faults import KINDS, compiled, injected


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("shim")) or pytest.skip("no C compiler, or no Linux")


def check(outcome) -> None:
    where = f"call {outcome['call']} of {outcome['of']}: {outcome}"
    assert outcome["broken"] == [], where
    assert (outcome["ended"], outcome["differs"]) == (0, []), where
    if outcome["code"] == 0:  # what failed was of no matter: a line of the log, a file that was to be taken away
        assert outcome["told"] == "", where
    else:
        (line,) = outcome["told"].splitlines()
        assert line.startswith("dlhw: "), where
        assert any(words in line for words in ("No space left", "Input/output error", "Permission denied")), where
        assert re.search(r"[ /]run([ /:;,]|$)", line), where  # the folder, or a file in it


@pytest.mark.parametrize(("kind", "start"), [("the disk is full from then on", 4), ("an input/output error, once", 16)])
def test_a_failure_at_some_calls(kind, start, shim):
    """Every thirtieth, which takes a few seconds; `-m slow` goes through all of them."""
    outcomes = list(injected(shim, kind, stride=30, start=start))
    assert len(outcomes) > 5
    assert sum(outcome["code"] == 1 for outcome in outcomes) > len(outcomes) / 2
    for outcome in outcomes:
        check(outcome)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_at_any_call(kind, shim):
    outcomes = list(injected(shim, kind))
    assert len(outcomes) == outcomes[0]["of"]
    for outcome in outcomes:
        check(outcome)
    failed = sum(outcome["code"] != 0 for outcome in outcomes)
    print(f"{kind}: {len(outcomes)} calls, {failed} of which ended the run, 0 files broken, 0 different in the end")
