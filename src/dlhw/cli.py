"""The door: commands, errors as one line, signals. It imports no torch before there is a run to begin."""

import atexit
import gc
import os
import signal
import sys
import warnings
from argparse import Namespace
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NoReturn

import hydra

import dlhw
from dlhw.config import command_line
from dlhw.config.compose import checked_for_hydra, composed, help_template
from dlhw.config.explain import USERS_FAULT, one_line
from dlhw.config.shipped import conf_dir, hydra_session
from dlhw.distributed.torchrun import launched
from dlhw.errors import RunFailed, UserError, in_a_line, printable
from dlhw.progress import log_to_console

# Read by OpenMP when torch is loaded: how often a thread that waits for another looks again before it sleeps. The usual
# 300,000 keep a core from the thread that is waited for: with four cores busy elsewhere, a step of VGG-16 on 4 threads
# took 3.0 s, and takes 0.3 to 0.8 so; on a quiet machine 0.32 s either way (asleep at once, 0.42).
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# An interpreter that ends looks for garbage in all of torch's modules: 0.52 s, and 0.19 s where it may not.
atexit.register(gc.freeze)

MANY_RUNS = ("study=", "seeds=")  # each is a sweep by itself, with or without -m
HYDRAS_WARNINGS = (r"provider=.* is not available", r"\s*'.*' is validated against ConfigStore schema")


def main() -> None:
    """`dlhw`: a single run goes straight to one_run.py; help, --cfg, sweeps and completion are Hydra's."""
    try:
        args = command_line.parse()
    except UserError as error:
        refuse(str(error), 2)
    told_hydra = (args.help, args.hydra_help, args.cfg, args.info, args.multirun, args.shell_completion)
    multirun = any(override.lstrip("+") == "hydra.mode=MULTIRUN" for override in args.overrides)
    if any(override.startswith(MANY_RUNS) for override in args.overrides) and not (args.help or args.cfg or args.info):
        sys.argv.insert(1, "--multirun")
        multirun = True
    elsewhere = any(told_hydra) or multirun
    if elsewhere and launched().rank:
        return  # of torchrun's processes the first one tells
    if (args.multirun or multirun) and not launched().alone:
        in_one_line(no_sweep)
    elif args.help:
        in_one_line(lambda: tell_help(args.overrides, args.config_dir), args.config_dir)
    elif elsewhere:
        in_one_line(lambda: told_by_hydra(args), args.config_dir)
    else:
        in_one_line(lambda: dlhw.run(*args.overrides, config_dir=args.config_dir), args.config_dir)


def told_by_hydra(args: Namespace) -> None:
    """Help, the config, a sweep. A config that is shown has passed the check where something was typed for it.

    What Hydra refuses by itself, a key of a part that no file has, needs no torch; what comes with + or a folder does.
    """
    if (args.cfg or args.info) and (args.overrides or args.package):
        with hydra_session(args.config_dir) as session:
            added = args.config_dir is not None or any(word.startswith("+") for word in args.overrides)
            config = composed([*session, *args.overrides], args.config_dir, parts=added)
        if args.package:
            command_line.check_package(args, config)
    if not args.shell_completion:
        checked_for_hydra(args.overrides, args.config_dir, args.multirun or "--multirun" in sys.argv)
    hydra_main()


def hydra_main() -> None:
    """Hydra's own main, whose log and callbacks come first: `checked_for_hydra` has to be before it."""
    before = os.environ.get("HYDRA_FULL_ERROR", "0")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # lets Hydra's exceptions reach us
    try:
        hydra.main(config_path=str(conf_dir()), config_name="config", version_base="1.3")(job)()
    except (ValueError, RecursionError, ArithmeticError) as error:  # a job's own end in jobs.py
        raise UserError(one_line(error)) from error
    finally:
        os.environ["HYDRA_FULL_ERROR"] = before


def no_sweep() -> NoReturn:
    raise UserError("torchrun has many processes train one run; a sweep (-m, study=, seeds=) starts its own: use dlhw")


def tell_help(overrides: Sequence[str], config_dir: str | None) -> None:
    """What Hydra prints for --help. It lists all groups first, in 1.3 s, though our template does not show them."""
    with hydra_session(config_dir) as session:
        template = help_template([*session, *overrides], config_dir)
    if template.get_identifiers():  # a template of the user's own, filled in by Hydra
        checked_for_hydra(overrides, config_dir, sweep=False)
        hydra_main()
    else:
        print(template.substitute())


def job(config: Any) -> float | None:
    """What Hydra's launchers call for each run of a sweep, in whatever process it trains."""
    from dlhw.jobs import optimised_job, planned_job

    if os.environ.get("SUBMITIT_EXECUTOR") != "slurm":  # under which submitit's own handler stays
        signal.signal(signal.SIGTERM, terminate)
    if "parent" in config:
        planned_job(config)
        return None
    return optimised_job(config)


def in_one_line(command: Callable[[], Any], config_dir: str | None = None) -> None:
    """Run a command; tell what goes wrong in one line, and exit with 2 (the user's part), 1 (the run's), 130 or 143.

    With HYDRA_FULL_ERROR=1 the traceback is shown instead.
    """
    traceback_wanted = os.environ.get("HYDRA_FULL_ERROR") == "1"
    signal.signal(signal.SIGTERM, terminate)
    log_to_console()
    for wording in HYDRAS_WARNINGS:  # where Hydra goes on, with something else than what was meant
        warnings.filterwarnings("error", wording)
    try:
        command()
    except KeyboardInterrupt:
        refuse("interrupted", 130)
    except UserWarning as error:
        refuse(one_line(error), 2)
    except Exception as error:
        if traceback_wanted:
            raise
        if isinstance(error, USERS_FAULT) or "full_key: " in str(error):  # OmegaConf's own, of any kind
            refuse(one_line(error, config_dir), 2)
        if isinstance(error, UserError):
            refuse(str(error), 2)
        if isinstance(error, RunFailed):
            refuse(str(error), 1)
        refuse(f"the run failed: {in_a_line(error)} (HYDRA_FULL_ERROR=1 shows the traceback)", 1)


def refuse(line: str, code: int) -> NoReturn:
    if launched().rank == 0:  # others have told the first one
        print(f"dlhw: {printable(line)}", file=sys.stderr)
    sys.exit(code)


def terminate(signum: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM unwinds like Ctrl-C, so that the run is marked as interrupted and workers stop too."""
    sys.exit(128 + signum)


if __name__ == "__main__":
    main()
