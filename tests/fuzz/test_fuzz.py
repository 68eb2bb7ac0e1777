"""A few hundred bad commands, each refused in one kind line or truly valid; `make fuzz` has thousands."""

import gc
from dataclasses import replace

import pytest
from fuzz_campaign import KINDS, case, masked, shown
from fuzz_door import Case, Outcome, TooSlow, call
from fuzz_oracle import complaints
from omegaconf import OmegaConf

SEED = 11
EACH = {"broken": 18, "reported": 60, "wrong_option": 30, "evaluated": 40, "odd_option": 20, "any_value": 6}
DEAR = {"study": 2, "many_runs": 2, "own_option": 3, "own_study": 2}
USUAL = 3


@pytest.fixture(autouse=True, scope="module")
def no_garbage_of_torch() -> None:
    """Hydra makes many small objects, and each sweep for garbage looks at all of torch's."""
    gc.freeze()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_bad_commands(kind: object) -> None:
    name, at = kind.__name__, KINDS.index(kind)  # type: ignore[attr-defined, arg-type]
    for turn in range((EACH | DEAR).get(name, USUAL)):
        asked = case(SEED, at + turn * len(KINDS))
        assert asked.kind == name
        assert list(complaints(asked, call(asked))) == [], shown(asked)


def test_the_same_numbers_make_the_same_command() -> None:
    assert [case(3, index) for index in range(60)] == [case(3, index) for index in range(60)]
    assert [case(3, index) for index in range(60)] != [case(4, index) for index in range(60)]


def test_what_is_right_is_accepted() -> None:
    """So that above it is the mistake that is refused, not the way in."""
    one, many = Case("dlhw", ("model=fc", "optimizer.lr=3e-4")), Case("dlhw", ("-m", "seed=0,1"))
    outcomes = call(one), call(many)
    assert [list(complaints(asked, told)) for asked, told in zip((one, many), outcomes, strict=True)] == [[], []]
    assert [config.optimizer.lr for _, config in outcomes[0].accepted or ()] == [3e-4]
    assert [config.seed for _, config in outcomes[1].accepted or ()] == [0, 1]


REFUSED = Outcome(2, "", "dlhw: epochs=0: must be at least 1\n", [])
CONFIG = OmegaConf.create({"epochs": 2, "model": {"hidden": [8]}})


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (replace(REFUSED, code=1), "ends with 1"),
        (replace(REFUSED, written=["outputs"]), "leaves"),
        (replace(REFUSED, err="dlhw: one\ntwo thousand\n"), "not one line"),
        (replace(REFUSED, err="dlhw: \x1b[2J and so on\n"), "not one line"),
        (replace(REFUSED, err="usage: dlhw and so on\n"), "program's name"),
        (replace(REFUSED, err="dlhw: \n"), "says nothing"),
        (replace(REFUSED, err="dlhw: " + "x" * 5000 + "\n"), "characters long"),
        (replace(REFUSED, err="dlhw: KeyError: nope it is\n"), "speaks of KeyError"),
        (replace(REFUSED, err="dlhw: a DictConfig was found\n"), "speaks of DictConfig"),
        (replace(REFUSED, crash=TooSlow("10 s")), "hangs"),
        (replace(REFUSED, crash=ValueError("x")), "crashes"),
        (Outcome(0, "", "", []), "though it is wrong"),
        (Outcome(None, "", "", [], [(["epochs=3"], CONFIG)]), "accepts 'epochs=3'"),
        (Outcome(None, "", "", [], [(["~model.hidden"], CONFIG)]), "accepts '~model.hidden'"),
        (Outcome(None, "", "a warning\n", [], []), "and says"),
    ],
)
def test_the_judge_can_complain(outcome: Outcome, says: str) -> None:
    asked = Case("dlhw", ("epochs=0",), wrong=True)
    assert any(says in complaint for complaint in complaints(asked, outcome))
    assert list(complaints(asked, REFUSED)) == []


def test_lines_of_one_template() -> None:
    assert masked("epochs=0: must be at least 1") == masked("epochs=-37: must be at least 12")
    assert masked("unknown key a") != masked("unknown key b")
