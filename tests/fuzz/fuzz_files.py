"""Files that are wrong: options, presets and studies of the user's own, an old run's files, and what a report reads."""

import json
from collections.abc import Callable
from functools import cache
from random import Random

from fuzz_door import Case
from fuzz_values import OF_EVAL, OF_REPORT, OF_RESUME
from fuzz_words import mutated
from fuzz_yaml import PACKAGES, WHOLE, damaged
from omegaconf import OmegaConf, open_dict
from shipped import CONF, FILES, chosen_with, options

from dlhw.config.compose import composed
from dlhw.config.shipped import hydra_session

PLACES = (
    "config.yaml", "dlhw_schema.yaml", "model.yaml", "hydra/launcher/joblib.yaml", "model/fc.yaml/x", "model/mine.yml",
    "nope/mine.yaml", "model/mine.yaml",
)  # fmt: skip
CHOICES = ("model=mine", "nope=mine", "+nope=mine", "model=fc", "model=mine.yaml", "hydra/launcher=joblib", "config=x")
JSONS = (
    b"[]", b"3", b'"x"', b"{}", b"null", b"{", b'{"status": 3}', b"", b'{"status": "finished"}',
    b'{"epochs": "x", "threads": [], "precision": 3, "device": null}',
)  # fmt: skip
DOORS = (
    ("dlhw-eval", ("run=run",)),
    ("dlhw-eval", ("run=run", "images=[a.png]")),
    ("dlhw", ("resume=run",)),
    ("dlhw", ("resume=run", "epochs=5")),
    ("dlhw-report", ("run",)),
    ("dlhw-report", ("--diff", "run", "run")),
)
RESULTS = {"epochs": 2, "best_epoch": 2, "device": "cpu", "precision": "fp32", "threads": 1, "test/accuracy": 0.9}
SWEEP = {
    "kind": "sweep", "name": "s", "command": "dlhw -m", "keys": ["seed"], "study": None,
    "runs": [{"folder": "../run", "hash": "1", "overrides": [], "values": {"seed": 1}, "rows": []}],
}  # fmt: skip


def shipped(file: str) -> bytes:
    return (CONF / f"{file}.yaml").read_bytes()


def own(rng: Random, group: str, content: bytes, others: list[str]) -> Case:
    """An option of the user's own, chosen from a folder."""
    words = ["--config-dir", "my", f"{group}=mine", *others, *(["-m"] if rng.random() < 0.1 else [])]
    return Case("dlhw", tuple(words), {f"my/{group}/mine.yaml": content})


def own_option(rng: Random) -> Case:
    """A damaged copy of a shipped option or preset, or something else in its place."""
    file = rng.choice([file for file in FILES if file != "config" and "/kind/" not in file])
    content = damaged(rng, shipped(file)) if rng.random() < 0.7 else rng.choice(PACKAGES) + rng.choice(WHOLE)
    return own(rng, file.partition("/")[0], content, chosen_with(file)[1][1:])


def own_preset(rng: Random) -> Case:
    return own(rng, "experiment", rng.choice(PACKAGES[:2] * 3 + PACKAGES[2:]) + rng.choice(WHOLE), [])


def own_study(rng: Random) -> Case:
    return own(rng, "study", damaged(rng, shipped(f"study/{rng.choice(options('study'))}")), [])


def own_folder(rng: Random) -> Case:
    """Something else in it: a root config, a group of another name, a folder in place of a file."""
    return Case("dlhw", ("--config-dir", "my", rng.choice(CHOICES)), {f"my/{rng.choice(PLACES)}": rng.choice(WHOLE)})


@cache
def saved() -> dict[str, bytes]:
    """The files of a run that stopped, as far as it is read before its weights."""
    with hydra_session() as session:
        config = composed([*session, "model=fc", "epochs=2"])
    with open_dict(config):
        del config["hydra"]
    return {
        "run/.hydra/config.yaml": OmegaConf.to_yaml(config).encode(),
        "run/.hydra/overrides.yaml": b"- model=fc\n- epochs=2\n",
        "run/status.json": b'{"status": "interrupted"}',
        "run/results.json": json.dumps(RESULTS).encode(),
        "run/metrics.csv": b"epoch,step,lr,train/loss,val/loss\n1,10,0.001,2.0,1.9\n2,20,0.001,1.5,1.4\n",
        "run/checkpoints/last.pt": b"no weights",
    }


def saved_config(rng: Random) -> Case:
    """A run whose saved config is damaged, opened again."""
    program, words = rng.choice(DOORS[:4])
    config = saved()["run/.hydra/config.yaml"]
    other = rng.choice(WHOLE)
    content = damaged(rng, config) if rng.random() < 0.7 else rng.choice((config + other, other))
    return Case(program, words, {**saved(), "run/.hydra/config.yaml": content})


def saved_files(rng: Random) -> Case:
    """Any of the run's files is damaged, or gone."""
    program, words = rng.choice(DOORS)
    name = rng.choice(list(saved()))
    files = {**saved(), name: damaged(rng, saved()[name]) if rng.random() < 0.5 else rng.choice(JSONS)}
    if rng.random() < 0.2:
        del files[name]
    return Case(program, words, files)


def evaluated(rng: Random) -> Case:
    """Words of dlhw-eval that it does not know, or that mean nothing to it."""
    words = tuple(rng.choice(OF_EVAL).split(" "))
    return Case("dlhw-eval", (*words[:-1], mutated(rng, words[-1])) if rng.random() < 0.3 else words, saved())


def resumed(rng: Random) -> Case:
    return Case("dlhw", tuple(rng.choice(OF_RESUME).split(" ")), saved())


def reported(rng: Random) -> Case:
    """dlhw-report's words, and a sweep.json that may be damaged."""
    sweep = json.dumps(SWEEP).encode()
    content = sweep if rng.random() < 0.5 else damaged(rng, sweep)
    files = {**saved(), "notes.txt": b"notes", "sweep/sweep.json": content}
    return Case("dlhw-report", tuple(rng.choice(OF_REPORT).split()), files)


KINDS: tuple[Callable[[Random], Case], ...] = (
    own_option, own_preset, own_study, own_folder, saved_config, saved_files, evaluated, resumed, reported,
)  # fmt: skip
