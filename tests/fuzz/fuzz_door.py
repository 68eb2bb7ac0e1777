"""One command in this process, as the real door sees it, stopped where a run or a report would begin."""

import contextlib
import io
import logging
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn
from unittest.mock import patch

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

Configs = list[tuple[Sequence[str], DictConfig]]
SECONDS = 10  # of work, in which every command has to end


@dataclass(frozen=True)
class Case:
    """A command. files: what lies where it is typed. wrong: it is known to be, so that it has to be refused."""

    program: str
    words: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    wrong: bool = False
    kind: str = ""


@dataclass(frozen=True)
class Outcome:
    """accepted: the configs that would have been trained, each with the overrides that it should show."""

    code: int | None
    out: str
    err: str
    written: list[str]
    accepted: Configs | None = None
    crash: BaseException | None = None


class Accepted(BaseException):
    """Nothing was refused: here training, evaluating or drawing would begin. configs: see `Outcome.accepted`."""

    def __init__(self, configs: Configs) -> None:
        self.configs = configs


class TooSlow(BaseException):
    pass


def begin(*args: Any, **kwargs: Any) -> NoReturn:
    raise Accepted([])


def prepared(config: DictConfig, *args: Any, **kwargs: Any) -> Any:
    """In place of `prepare`: an experiment that is its config alone."""
    return SimpleNamespace(config=config, ranks=SimpleNamespace(guard=lambda record: contextlib.nullcontext()))


def begin_run(experiment: Any, *args: Any) -> NoReturn:
    from dlhw.config.compose import typed as words_of

    config = experiment.config
    raise Accepted([(words_of(config) if "hydra" in config else [], config)])


def begin_sweep(sweep: Any, launch: Any) -> NoReturn:
    raise Accepted([(job.planned.overrides, job.config) for job in sweep.plan.jobs])


def begin_trials(search: Any, *args: Any) -> NoReturn:
    raise Accepted([])


def main_of(program: str) -> Callable[[], None]:
    from dlhw import cli, eval_cli, report_cli

    return {"dlhw": cli.main, "dlhw-eval": eval_cli.main, "dlhw-report": report_cli.main}[program]


@contextlib.contextmanager
def stopped() -> Iterator[None]:
    """All that would train, evaluate or draw raises `Accepted` instead."""
    from dlhw import evaluation, one_run
    from dlhw.report import write
    from dlhw.sweep import launch

    with contextlib.ExitStack() as stack:
        for module, name, instead in (
            (one_run, "prepare", prepared),
            (one_run, "train", begin_run),
            (one_run, "restored", begin),
            (evaluation, "prepare", begin),
            (evaluation, "build_model", begin),
            (write, "write", begin),
            (launch.Sweep, "run", begin_sweep),
        ):
            stack.enter_context(patch.object(module, name, instead))
        with contextlib.suppress(ImportError):
            from dlhw.sweep import optimise

            stack.enter_context(patch.object(optimise, "carry_out", begin_trials))
        yield


def call(case: Case) -> Outcome:
    """Type the command in a folder of its own, in which nothing but the case's files lies."""
    with tempfile.TemporaryDirectory() as place:
        here = Path(place) / "here"
        for name, content in {"": b"", **case.files}.items():
            path = here / name
            (path if not name else path.parent).mkdir(parents=True, exist_ok=True)
            if name:
                path.write_bytes(content)
        before = listing(Path(place))
        with standing(here), stopped(), ends_within(SECONDS):
            code, out, err, accepted, crash = typed(case)
        return Outcome(code, out, err, sorted(listing(Path(place)) - before), accepted, crash)


def typed(
    case: Case,
) -> tuple[int | None, str, str, list[tuple[Sequence[str], DictConfig]] | None, BaseException | None]:
    sys.argv = [case.program, *case.words]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main_of(case.program)()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            return code, out.getvalue(), err.getvalue(), None, None
        except Accepted as accepted:
            return None, out.getvalue(), err.getvalue(), accepted.configs, None
        except BaseException as crash:
            return None, out.getvalue(), err.getvalue(), None, crash
    return 0, out.getvalue(), err.getvalue(), None, None


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if "__pycache__" not in path.parts}


@contextlib.contextmanager
def standing(here: Path) -> Iterator[None]:
    """In a folder, with an environment, loggers and a Hydra that are put back."""
    root, ours = logging.getLogger(), [logging.getLogger(name) for name in ("dlhw", "dlhw_sweep", "hydra")]
    before, handlers, level = os.getcwd(), [*root.handlers], root.level  # noqa: PTH109
    at_sigterm, path, argv = signal.getsignal(signal.SIGTERM), [*sys.path], sys.argv
    with patch.dict(os.environ, HYDRA_FULL_ERROR="0"), warnings.catch_warnings():
        warnings.resetwarnings()
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)  # as Python itself has it
        clear(ours)
        os.chdir(here)
        try:
            yield
        finally:
            os.chdir(before)
            clear(ours)
            root.handlers[:], sys.path[:], sys.argv = handlers, path, argv
            root.setLevel(level)
            logging.disable(logging.NOTSET)
            signal.signal(signal.SIGTERM, at_sigterm)


def clear(loggers: list[logging.Logger]) -> None:
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None
    for logger in loggers:
        logger.handlers.clear()
        logger.propagate = True
        logger.disabled = False


@contextlib.contextmanager
def ends_within(seconds: int) -> Iterator[None]:
    """TooSlow in what takes longer, wherever it is: of the processor's time, or ten times as long by the clock."""

    def stop(signum: int, frame: Any) -> NoReturn:
        raise TooSlow(f"not at its end after {seconds} s")

    clocks = (signal.ITIMER_PROF, signal.SIGPROF, seconds), (signal.ITIMER_REAL, signal.SIGALRM, 10 * seconds)
    before = [signal.signal(sign, stop) for _, sign, _ in clocks]
    for clock, _, limit in clocks:
        signal.setitimer(clock, limit)
    try:
        yield
    finally:
        for (clock, sign, _), handler in zip(clocks, before, strict=True):
            signal.setitimer(clock, 0)
            signal.signal(sign, handler)
