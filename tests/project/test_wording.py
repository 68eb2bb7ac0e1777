"""Hydra's, OmegaConf's and PyYAML's own complaints, as the user reads them."""

import sys
from pathlib import Path

import pytest

FUZZ = str(Path(__file__).parents[1] / "fuzz")
if FUZZ not in sys.path:
    sys.path.insert(0, FUZZ)

from fuzz_door import Case, call  # noqa: E402

TYPED = {
    "epochs=ten": "epochs=ten: must be int",
    "clip_grad_norm=x": "clip_grad_norm=x: must be float",
    "epochs=null": "epochs=null: must have a value",
    "monitor.mode=[a]": "monitor.mode=['a']: must be str",
    "monitor=3": "monitor=3: must be a mapping with this key's own keys",
    "monitor=[1]": "monitor: a list stands here for a mapping, or a mapping for a list",
    "hydra.job.chdir=x": "hydra.job.chdir=x: must be true or false",
    "+hydra.job.env_set={1:2}": "hydra.job.env_set.1: a key must be text, and one here is not",
    "hydra.mode=x": "hydra.mode=x: is one of RUN, MULTIRUN",
    "hydra.mode=[1]": "hydra.mode=[1]: is none of this key's values",
    "hydra.callbacks=3": "hydra.callbacks: is of another type than this key's values",
    "hydra.verbose={}": "is true, false, a logger's name or a list of names",
    "hydra.job.env_copy=[NO_SUCH]": "hydra.job.env_copy=[NO_SUCH]: the environment has no variable NO_SUCH",
    "-m loss=[1,2]": "loss=[1,2]: an option is chosen by its name; to try several: -m loss=1,2",
    "trust=3": "trust: must be a list or mapping",
    "epochs=${nope}": "epochs: there is no key for its ${nope}",
    "epochs=${nope:1}": "epochs: there is no function nope for its ${nope:…}",
    "epochs=${epochs}": "epochs: its ${…} leads back to itself",
    "epochs=${run_name:3}": "epochs: its ${…} cannot be worked out from what it is given",
    "epochs=${oc.decode:[}": "epochs: its ${…} cannot be read",
    "dataset=image_folder name=${dataset.root}": "name: its ${…} needs dataset.root, which is missing",
    "model.channels.x=3": "x: is no number, and the places of a list are numbers",
    "~monitor.metric": "monitor.metric: every config has this key, so it cannot be taken away",
    "+hydra.sweeper.params={a:1}": "hydra.sweeper.params: has no keys yet to which others could be added",
    "seed=" + "1" * 5000: "a whole number has more digits than can be read",
    "hydra.searchpath=[nope]": "hydra.searchpath: nope is no folder",
    "+backend=torch": "backend is chosen twice; leave one of the two out",
    "+epochs=3": "epochs is in the config already: it needs no +",
    "~model=lenet": "~model=lenet: that option is not chosen, so it cannot be taken away",
    "~epochs=7": "~epochs=…: has another value; ~epochs takes it away whatever it is",
    "model@x=fc": "model@x: is not chosen in that place; did you mean model?",
    "++model=fc": "++model=fc: an option is chosen without a plus, as in model=fc",
    "~model=[a]": "an option is taken away by its name, as in ~model=fc",
    "seed=range(3)": "seed=range(3): several values; add -m to sweep over them",
    "-m optimizer.lr=interval(0,1)": "interval(…) is for hydra/sweeper=optuna; a sweep takes single values",
    "-m seed=range(0,5,0)": "range(…): its step must lead from the first number to the last",
    "-m seed=range(nan)": "range(…): its step must lead from the first number to the last",
    "-sc install=nope": "--shell-completion nope: is one of install=bash, install=zsh, install=fish",
    "-sc a b": "--shell-completion: takes one word, as in install=bash",
    "seed": "seed: is not of the form KEY=VALUE",
    "a*b=3": "a*b=3: a*b cannot be a key; an override is KEY=VALUE, as in optimizer.lr=0.1",
    "seed=[1": "seed=[1: [ is without its other half",
    "seed=1]": "seed=1]: ] is without its other half",
    "seed='a": "seed='a: ' is without its other half",
    "name=a,,b": "the value cannot be read; text with signs in it needs quotes of its own, as in 'name=\"a, b\"'",
    "seed=rang(3)": "there is no function rang(…) (bool, choice, float, glob, int, interval, range, ",
    "seed=range(a)": "range(a) cannot be worked out; range(…) takes other values than these",
}
PRESETS = {
    "a: &a [*a]\n": "its aliases (*name) unfold to more than",
    "defaults: 3\n": "in experiment/mine: defaults must be a list, as [override /model: fc]",
    "defaults: [3]\n": "an entry of a defaults list is a file or one group with its option, as - override /model: fc",
    "defaults: [_self_, _self_]\n": "in experiment/mine: _self_ stands twice in the defaults list",
    "defaults: [{/model: '${nope}'}]\n": "defaults: ${nope} is no group chosen before it (",
    "defaults: [mine]\n": "a defaults list is nested too deeply, or leads back to itself",
    "threads: !!set {a}\n": "threads: dates, sets and bytes are no values here; write text in quotes",
    "monitor: [1]\n": "[1]: must be a mapping with this key's own keys",
    " a: 1\nb: 2\n": "line 3: wrong indentation",
    "a: {b: 1}\n  c: 2\n": "line 3: wrong indentation, or a sign before it that begins something else",
    "a: b: c\n": "line 2: a colon where no key can stand; a text with a colon needs quotes",
    "seed: 1\nepochs\n": "line 4: a key without its colon, or wrong indentation",
    "seed: @x\n": "line 2: '@' cannot begin a value; such text needs quotes, and indentation is by spaces",
    "seed: !x 3\n": "line 2: a tag (!…) that means nothing here",
    "? [a]\n: 1\n": "line 2: a key must be text",
    "seed: 'a\n": "line 3: the file ends within quotes",
    "a: 1\n---\nb: 2\n": "line 3: a second document (---) begins; a file holds one",
    "seed: &\n": "line 2: an & or * without a name",
    "seed: [1,,2]\n": "line 2: a value is missing",
    "seed: - 1\n": "line 2: a dash where no list can begin",
    "<<: 3\n": "line 2: << takes a mapping",
    "seed: [1\n": "line 3: a bracket without its other half",
    "seed: 1\nseed: 2\n": "line 3: found duplicate key seed",
    "\x00": "holds a character that YAML does not take, at position",
    "3\n": "a YAML file in my holds a single value, and no keys",
}
FILES = {
    "experiment/mine.yaml": (b"# @package\n", "the first line of the file must be '# @package _global_'"),
    "dlhw_schema.yaml": (b"a: 1\n", "dlhw_schema: dlhw has an option of this name; give your file another one"),
    "experiment/mine.yaml ": (b"\x80\n", "a YAML file in my is no text in UTF-8"),
}


def refusal(*words: str, **files: bytes) -> str:
    outcome = call(Case("dlhw", words, files))
    assert (outcome.code, outcome.err.count("\n"), outcome.written) == (2, 1, []), outcome
    return outcome.err


@pytest.mark.parametrize("line", TYPED, ids=lambda line: line[:40])
def test_on_the_command_line(line: str) -> None:
    assert TYPED[line] in refusal(*line.split(" "))


@pytest.mark.parametrize("text", PRESETS)
def test_in_a_preset(text: str) -> None:
    content = f"# @package _global_\n{text}".encode()
    assert PRESETS[text] in refusal("--config-dir", "my", "experiment=mine", **{"my/experiment/mine.yaml": content})


@pytest.mark.parametrize("name", FILES)
def test_in_a_folder_of_ones_own(name: str) -> None:
    content, says = FILES[name]
    words = ["experiment=mine"] if name.startswith("experiment") else []
    assert says in refusal("--config-dir", "my", *words, **{f"my/{name.strip()}": content})
