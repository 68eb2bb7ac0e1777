"""From what the user typed to the runs of a sweep: Hydra's grammar, `seeds`, and studies."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from dlhw.config.check import check_values
from dlhw.config.explain import USERS_FAULT, one_line
from dlhw.errors import UserError
from dlhw.sweep.identity import ABOUT_THE_SWEEP, safe
from dlhw.sweep.plan import Composer, Plan, Planned, make_plan
from dlhw.sweep.study import Study, read_study, run_list

MOST_RUNS = 10_000


def plan_of(arguments: Sequence[str], config: DictConfig, context: HydraContext) -> Plan:
    """The plan that a command line asks for; config: as Hydra composed it for the whole sweep. Raises UserError."""
    check_values(config, keys=ABOUT_THE_SWEEP)
    composer = Composer(context.config_loader, list(config.hydra.overrides.hydra))
    try:
        parsed = composer.parser.parse_overrides(list(arguments))
    except USERS_FAULT as error:
        raise UserError(one_line(error)) from error
    for override in parsed:
        if override.is_sweep_override() and root(override.key_or_group) in (*ABOUT_THE_SWEEP, "trust"):
            raise UserError(f"{override.input_line}: it is of the sweep as a whole and cannot be swept; type one value")
    words = [override.input_line or "" for override in parsed if root(override.key_or_group) not in ABOUT_THE_SWEEP]
    if "tables" in (config.study or ()):
        return of_study(config, words, composer)
    if of_a_study := [word for word in arguments if word.startswith("study.")]:
        raise UserError(f"{of_a_study[0]}: no study is chosen; add study=NAME")
    check_number(parsed, config.seeds)
    runs = combinations(words, composer.parser)
    keys = [] if not runs else list(runs[0].values)
    if config.seeds is not None:
        if "seed" in keys:
            raise UserError(f"seeds={config.seeds} beside {word_for('seed', words)}: both choose the seeds; type one")
        runs = [seeded(run, config.seed + index) for run in runs for index in range(config.seeds)]
        keys.append("seed")
    typed_name = next((word.partition("=")[2] for word in words if word.startswith("name=")), None)
    return make_plan("sweep", runs, composer, keys, typed_name)


def of_study(config: DictConfig, typed: Sequence[str], composer: Composer) -> Plan:
    """A study's runs. What is typed beside it holds for each of them, and is not swept."""
    swept = [o.input_line for o in composer.parser.parse_overrides(list(typed)) if o.is_sweep_override()]
    if swept:
        raise UserError(f"{swept[0]}: a study has its own list of runs and cannot be swept; type one value")
    node: dict[str, Any] = OmegaConf.to_container(config.study, resolve=True)  # type: ignore[assignment]
    if config.seeds is not None:
        node["seeds"] = config.seeds
    study = read_study(node)

    def planned(study: Study) -> Plan:
        runs = [Planned(run.overrides, {}, list(run.rows)) for run in run_list(study, typed)]
        return make_plan("study", runs, composer, [], safe(study.name), node)

    plan = planned(study)
    if study.only or study.seeds:  # a part of the study, or more of it: it goes where the whole lies
        plan.whole = [job.hash for job in planned(replace(study, only=None, seeds=None)).jobs]
    return plan


def check_number(overrides: Sequence[Override], seeds: int | None) -> None:
    """Raises UserError for more runs than anyone can mean, before they are counted out."""
    runs = prod(map(how_many, overrides)) * (seeds or 1)
    if runs > MOST_RUNS:
        raise UserError(f"the sweep has {runs:.3g} runs, more than {MOST_RUNS:,}; sweep over fewer values")


def how_many(override: Override) -> float:
    """The values of an override; 1 where only the files tell."""
    values = override.value()
    if isinstance(values, RangeSweep) and values.start is not None and values.stop is not None and values.step:
        return max(0, (float(values.stop) - float(values.start)) / float(values.step))
    return len(values.list) if isinstance(values, ChoiceSweep) else 1


def combinations(words: Sequence[str], parser: OverridesParser) -> list[Planned]:
    """Every combination of the values typed, the last key running fastest, as Hydra's basic sweeper has it."""
    overrides = parser.parse_overrides(list(words))
    try:
        batches = BasicSweeper.split_arguments(overrides, max_batch_size=None)
    except HydraException as error:
        raise UserError(one_line(error)) from error
    swept = [override.get_key_element() for override in overrides if override.is_sweep_override()]
    return [Planned(list(job), values_of(job, swept, parser)) for batch in batches for job in batch]


def values_of(job: Sequence[str], swept: Sequence[str], parser: OverridesParser) -> dict[str, Any]:
    chosen = {o.get_key_element(): o.value() for o in parser.parse_overrides(list(job))}
    return {key.lstrip("+"): plain(chosen[key]) for key in swept}


def plain(value: Any) -> Any:
    """A parsed value as JSON has it: Hydra's quoted strings are objects of its own."""
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str | None) else str(getattr(value, "text", value))


def seeded(run: Planned, seed: int) -> Planned:
    kept = [word for word in run.overrides if not word.lstrip("+").startswith("seed=")]
    return Planned([*kept, f"seed={seed}"], {**run.values, "seed": seed}, run.rows)


def root(key: str) -> str:
    return key.lstrip("+~").partition(".")[0].partition("@")[0]


def word_for(key: str, words: Sequence[str]) -> str:
    return next(word for word in words if root(word.partition("=")[0]) == key)
