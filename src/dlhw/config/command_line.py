"""The words of the command line: Hydra's flags, without those that would lead around dlhw's own config."""

import sys
from argparse import ArgumentParser, Namespace
from typing import NoReturn

from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig, OmegaConf

from dlhw.config.shipped import config_folder
from dlhw.errors import UserError, did_you_mean

FOREIGN = {  # flags of Hydra's that have no meaning here
    "config_name": "dlhw has one root config; options of your own lie in a folder: --config-dir FOLDER",
    "config_path": "dlhw has one root config; options of your own lie in a folder: --config-dir FOLDER",
    "experimental_rerun": "a run goes on by resume=FOLDER, and is judged again by dlhw-eval run=FOLDER",
}
ASKING = ("help", "hydra_help", "cfg", "info", "multirun", "shell_completion")  # at most one of them


def parse() -> Namespace:
    """What sys.argv says. Raises UserError.

    Hydra's own parser, which reads sys.argv again, wants all overrides in a row: `dlhw model=fc -m seed=0,1` has them
    on both sides of -m.
    """
    parser = get_args_parser()
    parser.error = lambda message: refuse(parser, message)  # type: ignore[method-assign]
    args: Namespace = parser.parse_intermixed_args()
    sys.argv[1:] = [*args.overrides, *(word for word in sys.argv[1:] if word not in args.overrides)]
    check(args)
    return args


def check(args: Namespace) -> None:
    for name, instead in FOREIGN.items():
        if getattr(args, name) is not None:
            raise UserError(f"--{name.replace('_', '-')} {getattr(args, name)}: {instead}")
    if args.config_dir is not None:
        config_folder(args.config_dir)
    asked = [f"--{name.replace('_', '-')}" for name in ASKING if getattr(args, name)]
    if len(asked) > 1:
        raise UserError(f"{' beside '.join(asked[:2])}: each asks for something else; type one")
    if (args.resolve or args.package) and not args.cfg:
        raise UserError(
            f"{'--resolve' if args.resolve else '--package'}: says how --cfg shows the config; add --cfg job"
        )
    modes = [word for word in args.overrides if word.lstrip("+").startswith("hydra.mode=")]
    if args.multirun and modes and not modes[-1].endswith("=MULTIRUN"):
        raise UserError(f"{modes[-1]}: beside -m, which sweeps; leave one of them out")


def check_package(args: Namespace, config: DictConfig) -> None:
    """Raises UserError where the part that is to be shown is not in what --cfg shows."""
    of_hydra = args.package.partition(".")[0] == "hydra"
    hidden = (args.cfg == "job" and of_hydra) or (args.cfg == "hydra" and not of_hydra)
    if args.package != "_global_" and (hidden or OmegaConf.select(config, args.package) is None):
        known = ["hydra", *map(str, config.hydra)] if args.cfg == "hydra" else list(map(str, config))
        raise UserError(
            f"--package {args.package}: --cfg {args.cfg} shows no such part{did_you_mean(args.package, known)}"
        )


def refuse(parser: ArgumentParser, message: str) -> NoReturn:
    """argparse's own words, made one line with the nearest flag."""
    unknown = message.removeprefix("unrecognized arguments: ").split(" ")[0]
    if unknown == message.split(" ")[0] or not unknown.startswith("-"):
        raise UserError(f"{message.removeprefix('argument ')} (dlhw --help tells more)")
    key, equals, value = unknown.lstrip("-").partition("=")
    if equals and key:
        raise UserError(f"{unknown}: no such flag; a key is typed without dashes, as in {key}={value}")
    flags = [option for action in parser._actions for option in action.option_strings]
    raise UserError(f"{unknown}: no such flag{did_you_mean(unknown, flags)} (dlhw --help tells more)")
