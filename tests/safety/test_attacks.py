"""The attacks: each would leave a trace if it were carried out. None is, and each is told in one line."""

import copy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf
from outcomes import Outcome, written
from payloads import CHECKPOINTS, TARGETS

from dlhw import report_cli
from dlhw.config.build import build
from dlhw.config.compose import composed
from dlhw.config.hydra_keys import check_hydra
from dlhw.config.schema import Config
from dlhw.config.shipped import hydra_session
from dlhw.config.targets import KINDS, locate
from dlhw.errors import UserError

Door = Callable[..., Outcome]
CALLED = {"_target_": "evil.leave_a_trace"}
DECODED = "${oc.decode:'{_target_: evil.leave_a_trace}'}"
CALLBACKS = "hydra.experimental.callbacks"
STREAM, FILE = {"class": "logging.StreamHandler"}, {"class": "logging.FileHandler"}

# Parts as a config holds them, with the attack at a depth of its own.
NESTED: dict[str, dict[str, object]] = {
    "an argument": {"_target_": "torch.nn.Flatten", "start_dim": CALLED},
    "positional": {"_target_": "torch.nn.Sequential", "_args_": [CALLED]},
    "in a list of lists": {"_target_": "torch.nn.Sequential", "_args_": [[[CALLED]]]},
    "in a mapping": {"_target_": "torch.nn.ModuleDict", "modules": {"a": CALLED}},
    "in a part's part": {"_target_": "torch.nn.Sequential", "_args_": [{"_target_": "torch.nn.Flatten", "x": CALLED}]},
    "partial": {"_target_": "torch.nn.Sequential", "_args_": [{**CALLED, "_partial_": True}]},
    "by interpolation": {"_target_": "torch.nn.Flatten", "start_dim": "${name}", "_args_": "${resume}"},
    "made by a resolver": {"_target_": "torch.nn.Flatten", "start_dim": "${oc.create:{_target_:evil.leave_a_trace}}"},
    "decoded": {"_target_": "torch.nn.Flatten", "start_dim": DECODED},
    "a name put together": {"_target_": "${oc.decode:evil}.leave_a_trace"},
}

# Hydra's own node, as an experiment's YAML may set it.
HYDRAS = {
    "a callback": {"callbacks": {"mine": CALLED}},
    "a callback that is decoded": {"callbacks": {"mine": DECODED}},
    "all callbacks decoded": {"callbacks": "${oc.decode:'{mine: {_target_: evil.leave_a_trace}}'}"},
    "a callback's part": {"callbacks": {"mine": {"_target_": f"{CALLBACKS}.LogJobReturnCallback", "x": CALLED}}},
    "Hydra's pickles": {"callbacks": {"mine": {"_target_": f"{CALLBACKS}.PickleJobInfoCallback"}}},
    "a launcher": {"launcher": CALLED},
    "a launcher's folder": {"launcher": {"temp_folder": "/tmp/executed"}},
    "a sweeper": {"sweeper": CALLED},
    "a maker of a log's handler": {"job_logging": {"handlers": {"mine": {"()": "evil.leave_a_trace"}}}},
    "a class of a log's handler": {"hydra_logging": {"handlers": {"mine": {"class": "evil.Net"}}}},
    "a log's formatter": {"job_logging": {"formatters": {"mine": {"()": "ext://evil.leave_a_trace"}}}},
    "a log's stream": {"job_logging": {"handlers": {"mine": {**STREAM, "stream": "ext://evil.TRACE"}}}},
    "a log's file": {"job_logging": {"handlers": {"mine": {**FILE, "filename": "executed"}}}},
    "a log's file by parts": {"job_logging": {"handlers": {"mine": {**FILE, "filename": "${name}"}}}},
    "logs that are decoded": {"job_logging": "${oc.decode:'{handlers: {mine: {(): evil.leave_a_trace}}}'}"},
    "the environment of jobs": {"job": {"env_set": {"CXX": "./evil.sh", "LD_PRELOAD": "evil.so"}}},
    "where .hydra lies": {"output_subdir": "/tmp/executed"},
    "where runs lie": {"run": {"dir": "../executed"}},
    "where sweeps lie": {"sweep": {"dir": "/tmp/executed"}},
    "where trials lie": {"sweep": {"subdir": "../../executed"}},
    "what was typed": {"overrides": {"task": ["trust=[evil]"]}},
    "what was typed to Hydra": {"overrides": {"hydra": ["hydra.job.env_set.CXX=evil"]}},
    "what a sweep tries by text": {"sweeper": {"params": "${oc.decode:'{+trust: x}'}"}},
    "what a sweep tries": {"sweeper": {"params": {"trust": "[evil]"}}},
}  # fmt: skip


def experiment(here: Path, content: object) -> tuple[str, ...]:
    """The words that choose an experiment of this content."""
    folder = here / "downloaded/experiment"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "e.yaml").write_text("# @package _global_\n" + yaml.safe_dump(content))
    return "--config-dir", "downloaded", "experiment=e"


def refused(outcome: Outcome, here: Path, before: list[str]) -> str:
    line = outcome.refusal()
    assert written(here) == before
    return line


@pytest.mark.parametrize("target", TARGETS)
def test_a_target(target: str, trace: Path) -> None:
    for path in (f"{group}{part}" for group in KINDS for part in ("", ".part.of_a_part")):
        with pytest.raises(UserError) as refused:
            locate(target, path)
        assert str(refused.value).startswith(f"{path}._target_={target}: ")


@pytest.mark.parametrize("attack", NESTED)
def test_a_part_of_a_part(attack: str, trace: Path) -> None:
    """What is built is judged there too, whatever came of interpolations meanwhile."""
    config = OmegaConf.structured(Config)
    config.model, config.name, config.resume = NESTED[attack], "n", None
    if "interpolation" in attack:
        config.logger = [CALLED]
        config.model._args_ = "${logger}"
    with pytest.raises(UserError, match=r"evil is not trusted; if it is yours, add trust=\[evil\]"):
        build(config.model, "model")


@pytest.mark.parametrize("door_words", [(), ("-m", "seed=0,1"), ("--cfg", "job")], ids=["run", "sweep", "shown"])
@pytest.mark.parametrize("attack", ["positional", "decoded"])
def test_a_part_in_an_experiment(attack: str, door_words: tuple[str, ...], door: Door, here: Path, trace: Path) -> None:
    words = experiment(here, {"model": {"_target_": "torch.nn.Sequential", **NESTED[attack]}})
    before = written(here)
    assert "evil is not trusted" in refused(door(*door_words, *words), here, before)


@pytest.fixture(scope="module")
def whole() -> DictConfig:
    """The default config with Hydra's own node."""
    with hydra_session() as session:
        return composed(session)


@pytest.mark.parametrize("attack", HYDRAS)
def test_hydras_own_node(attack: str, whole: DictConfig) -> None:
    """As it is once a file's values are in it, and nothing is typed."""
    config = copy.deepcopy(whole)
    words = OmegaConf.to_container(config.hydra.overrides.hydra)
    check_hydra(config, words)  # type: ignore[arg-type]
    OmegaConf.set_struct(config, False)
    config.hydra = OmegaConf.to_container(config.hydra)  # without the schema, as far as another option's may allow it
    config.merge_with({"hydra": HYDRAS[attack]})
    with pytest.raises(UserError, match=r"^hydra\."):
        check_hydra(config, words)  # type: ignore[arg-type]


@pytest.mark.parametrize("attack", ["a callback", "a maker of a log's handler", "what was typed", "where runs lie"])
def test_hydras_own_node_in_an_experiment(attack: str, door: Door, here: Path, trace: Path) -> None:
    """A run of its own and a sweep are judged in two places."""
    words = experiment(here, {"hydra": HYDRAS[attack]})
    before = written(here)
    for more in ((), ("-m", "seed=0,1")):
        assert refused(door(*words, *more), here, before).startswith("hydra.")


@pytest.mark.parametrize("sampler", [CALLED, {"_target_": "optuna.samplers.TPESampler", "gamma": CALLED}])
def test_a_sampler(sampler: dict[str, object], door: Door, here: Path, trace: Path) -> None:
    words = experiment(
        here, {"defaults": [{"override /hydra/sweeper": "optuna"}], "hydra": {"sweeper": {"sampler": sampler}}}
    )
    before = written(here)
    assert "sampler" in refused(door("-m", *words, "optimizer.lr=interval(1e-4,1e-1)"), here, before)


@pytest.mark.parametrize(
    "words", [(), ("-m", "seed=0,1"), ("hydra/sweeper=optuna", "-m", "optimizer.lr=interval(1,2)")]
)
def test_a_file_that_trusts_itself(words: tuple[str, ...], door: Door, here: Path, trace: Path) -> None:
    own = experiment(here, {"trust": ["evil"], "model": {"_target_": "evil.Net"}})
    before = written(here)
    line = refused(door(*own, *words), here, before)
    assert line.startswith("trust=[evil]: stands in a file, and counts only where you type it")


def test_a_study_that_trusts_itself(door: Door, here: Path, trace: Path) -> None:
    study = {
        "name": "s",
        "base": ["trust=[evil]", "model._target_=evil.Net"],
        "tables": {"t": {"by": "seed", "values": [0]}},
    }
    (here / "downloaded/study").mkdir(parents=True)
    (here / "downloaded/study/s.yaml").write_text(yaml.safe_dump(study))
    before = written(here)
    line = refused(door("--config-dir", "downloaded", "study=s"), here, before)
    assert line.startswith("study.base: trust=[evil] stands in a file")


@pytest.mark.parametrize("changed", [
    {"model": CALLED}, {"trust": ["evil"], "model": CALLED}, {"loss": CALLED}, {"backend": CALLED}, {"logger": CALLED},
    {"dataset": CALLED}, {"optimizer": CALLED}, {"scheduler": CALLED},
    {"dataset": {"augment": CALLED}}, {"name": "${oc.env:HOME}"}, {"resume": "${oc.${name}:HOME}"},
])  # fmt: skip
def test_a_saved_config(changed: dict[str, object], door: Door, here: Path, finished_run: Path, trace: Path) -> None:
    """Its doors in turns: all of them read it in one place."""
    shutil.copytree(finished_run, here / "run")
    path = here / "run/.hydra/config.yaml"
    OmegaConf.save(OmegaConf.merge(OmegaConf.load(path), changed), path)
    before = written(here)
    doors = (
        ("dlhw", "resume=run", "epochs=2"),
        ("dlhw-eval", "run=run"),
        ("dlhw-eval", "run=run", "export=w.safetensors"),
    )
    program, *words = doors[len(str(changed)) % len(doors)]
    assert refused(door(*words, program=program), here, before).startswith("run/.hydra/config.yaml: ")


YAMLS = ("!!python/object/apply:os.mkdir [TRACE]", "!!python/object/new:os.mkdir [TRACE]", "!!python/name:evil.Net ''",
         "!!python/module:evil ''", "!!python/object:evil.Net {}")  # fmt: skip


def test_a_tag_of_yaml_in_an_experiment(door: Door, here: Path, trace: Path) -> None:
    words = experiment(here, {})
    for tag in YAMLS:
        text = f"# @package _global_\nname: {tag.replace('TRACE', str(trace))}\n"
        (here / "downloaded/experiment/e.yaml").write_text(text)
        assert "tag" in door(*words).refusal()


def test_a_tag_of_yaml_in_a_saved_config(door: Door, here: Path, finished_run: Path, trace: Path) -> None:
    for index, tag in enumerate(YAMLS):
        run = here / f"outputs/{index}"
        shutil.copytree(finished_run, run)
        (run / ".hydra/config.yaml").write_text(f"name: {tag.replace('TRACE', str(trace))}\n")
        assert "tag" in door(f"run={run}", program="dlhw-eval").refusal()
    report_cli.main(["outputs"])


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("save", CHECKPOINTS)
@pytest.mark.parametrize("by", ["resume", "eval", "export", "weights", "diff"])
def test_a_checkpoint(
    by: str, save: Callable[[Path, Path], None], door: Door, here: Path, finished_run: Path, trace: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    shutil.copytree(finished_run, here / "run")
    for name in ("best.pt", "last.pt"):
        save(here / "run/checkpoints" / name, trace)
    if by == "diff":
        with pytest.raises(SystemExit) as ended:
            report_cli.main(["--diff", "run", str(finished_run)])
        assert (ended.value.code, capsys.readouterr().err.count("\n")) == (2, 1)
        return
    words = {
        "resume": ("resume=run", "epochs=2"), "weights": ("model=resnet50", "model.weights=run/checkpoints/last.pt"),
        "eval": ("run=run",), "export": ("run=run", "export=w.safetensors"),
    }[by]  # fmt: skip
    outcome = door(*words, program="dlhw" if by in ("resume", "weights") else "dlhw-eval")
    assert "last.pt" in (line := outcome.refusal()) or "best.pt" in line


@pytest.mark.parametrize("flag", ["--experimental-rerun", "--config-name", "--config-path"])
def test_a_flag_that_leads_around_the_config(flag: str, door: Door, here: Path, trace: Path) -> None:
    from payloads import plain_pickle

    plain_pickle(here / "config.pickle", trace)
    assert f"{flag} config.pickle: " in door(flag, "config.pickle").refusal()


def test_the_folder_that_the_user_stands_in(door: Door, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may hold anything, under the names of modules too: none is imported from it unless something is trusted."""
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in (str(here), "")])
    (here / "mine.py").write_text("from torch.nn import Flatten as Net\n")
    assert "mine is not trusted" in door("model._target_=mine.Net").refusal()
    assert str(here) not in sys.path
    assert locate("mine.Net", "model", ["mine"]).__name__ == "Flatten"
    del sys.modules["mine"]
