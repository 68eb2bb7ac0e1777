"""`dlhw-eval`: an old run, rebuilt from its own saved config, judged again or asked about images of the user's own."""

import sys
from dataclasses import dataclass, field, fields
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dlhw.cli import in_one_line
from dlhw.config.check import check_values, unknown_key
from dlhw.config.explain import of_a_file
from dlhw.config.schema import one_of
from dlhw.config.targets import check_trust
from dlhw.errors import UserError

HELP = """\
dlhw-eval evaluates a run of dlhw again, rebuilt from its own saved config. The run's own files stay as they are; the
figures are printed and recorded in a new file in the run's folder, evaluations/<time>.json.

  dlhw-eval run=outputs/runs/NAME/TIME                        the test split: the figures of results.json, exactly
  dlhw-eval run=… split=val                                   the validation split
  dlhw-eval run=… 'images=[a.png,b.png]'                      predicted class and probability of your own images
  dlhw-eval run=… checkpoint=last device=cpu data_dir=/data   other weights, another device, data that has moved
  dlhw-eval run=… export=FILE.safetensors                     the weights as a file of their own, instead of figures

Keys: run, split (test, val, train), images, checkpoint (auto: those that the run tested; best; last),
device (auto: the run's own where it is there; cpu, cuda, cuda:N, mps), data_dir (null: the run's own),
trust (modules of your own that the run's config names), export (a file).
"""


@dataclass
class EvalConfig:
    run: str = MISSING
    split: str = one_of("test", "val", "train")
    images: list[str] = field(default_factory=list)
    checkpoint: str = one_of("auto", "best", "last")
    device: str = "auto"
    data_dir: str | None = None
    trust: list[str] = field(default_factory=list)
    export: str | None = None


def main() -> None:
    if any(word in ("--help", "-h") for word in sys.argv[1:]):
        print(HELP, end="")
        return
    in_one_line(evaluate)


def evaluate() -> None:
    config = parse(sys.argv[1:])
    if config.export is not None:
        from dlhw.export import export

        if config.images:
            raise UserError(f"export={config.export} beside images: each asks for something else; type one")
        export(config)
        return
    from dlhw import evaluation

    if config.images:
        evaluation.classify(config)
    else:
        evaluation.evaluate(config)


def parse(words: list[str]) -> Any:
    """The command line as a checked EvalConfig. Raises UserError."""
    known = [f.name for f in fields(EvalConfig)]
    for word in words:
        key, equals, _ = word.partition("=")
        if not equals:
            raise UserError(f"{word}: is not of the form key=value; the keys are {', '.join(known)}")
        if key not in known:
            raise UserError(unknown_key(key, known))
    try:
        config = OmegaConf.merge(OmegaConf.structured(EvalConfig), OmegaConf.from_dotlist(words))
    except OmegaConfBaseException as error:
        raise UserError(of_a_file(error)) from error
    check_values(config)  # type: ignore[arg-type]
    check_trust(config.trust)
    return config
