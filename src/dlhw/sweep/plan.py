"""The plan of a sweep: every run's config, composed and checked before the first starts, and its folder.

All that needs no import is checked as the plan is made; the parts, which need torch, when it is known what is to train.
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from dlhw.config.check import check_own, check_parts
from dlhw.config.compose import check_options, settle
from dlhw.config.explain import explained
from dlhw.config.hydra_keys import check_hydra
from dlhw.errors import UserError
from dlhw.sweep.identity import common_name, digest, identity, short_name


@dataclass
class Planned:
    """One run to be. values: of the swept keys. rows: the (table, label) of a study that it stands in."""

    overrides: list[str]
    values: dict[str, Any]
    rows: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Job:
    """A planned run with its config and its name: `<short name>-<hash of its config>`, a folder in the sweep's."""

    planned: Planned
    config: DictConfig
    hash: str
    name: str
    seconds: float = 0.0  # expected


@dataclass
class Plan:
    """jobs: in the order typed, equal configs once. asked: how many runs were asked for, equal ones counted.

    whole: hashes of the runs that name the folder, where `jobs` are but some of them.
    """

    kind: str
    name: str
    keys: list[str]
    jobs: list[Job]
    asked: int
    composer: "Composer"
    study: dict[str, Any] | None = None
    whole: list[str] | None = None

    @property
    def folder(self) -> Path:
        """Under outputs/: the same run list finds the same folder."""
        place = "studies" if self.kind == "study" else "sweeps"
        hashes = self.whole or [job.hash for job in self.jobs]
        return Path("outputs") / place / f"{self.name}-{digest(hashes)[:8]}"

    def check_parts(self, jobs: Iterable[Job]) -> None:
        """Raises UserError at the first of these that cannot be used."""
        for job in jobs:
            self.composer.check_parts(job.config)


def make_plan(
    kind: str, runs: Sequence[Planned], composer: "Composer", keys: list[str], name: str | None = None,
    study: dict[str, Any] | None = None,
) -> Plan:  # fmt: skip
    """Compose every run, and check all but its parts. Raises UserError at the first that cannot be used."""
    jobs: dict[str, Job] = {}
    for run in runs:
        config = composer.compose(run.overrides, parts=False)
        try:
            hashed = digest(identity(config))
        except Exception:
            composer.check_parts(config)  # which says what is wrong
            raise
        if hashed in jobs:
            rows = jobs[hashed].planned.rows
            rows += [row for row in run.rows if row not in rows]
        else:
            values = run.values or {"": "_".join(run.rows[0]) if run.rows else "run"}
            jobs[hashed] = Job(run, config, hashed, f"{short_name(values).lstrip('=')}-{hashed[:8]}")
    if not jobs:
        raise UserError(f"the {kind} has no run: every list of values is empty")
    names = [job.config.name for job in jobs.values()]
    return Plan(kind, name or common_name(names, keys), keys, list(jobs.values()), len(runs), composer, study)


class Composer:
    """Composes configs that differ in few keys: the YAML once for each choice of options, then Hydra's own update.

    Composing in full costs 135 ms, a copy with an update 10. The files are read once, so an edit does not part two runs
    of a sweep.
    """

    def __init__(self, loader: ConfigLoader, hydra_overrides: Iterable[str]) -> None:
        self.loader = loader
        self.hydra_overrides = list(hydra_overrides)
        self.parser = OverridesParser.create(config_loader=loader)
        self.composed: dict[tuple[str, ...], tuple[DictConfig, DictConfig]] = {}
        self.current: DictConfig | None = None
        self.passed: set[tuple[str, str]] = set()
        self.wholes: dict[int, DictConfig | None] = {}  # what `current` was for each config that is there

    def compose(self, overrides: Sequence[str], parts: bool = True) -> DictConfig:
        """The checked config without Hydra's own node. Raises UserError. parts: or checked but for its parts."""
        check_options(overrides)
        with explained():
            parsed = self.parser.parse_overrides(list(overrides))
            choices = [override for override in parsed if self.chooses(override)]
            config = copy.deepcopy(self.chosen([override.input_line or "" for override in choices]))
            ConfigLoaderImpl._apply_overrides_to_config([o for o in parsed if o not in choices], config)
            settle(config, overrides, check_own)
        self.wholes[id(config)] = self.current
        if parts:
            self.check_parts(config)
        return config

    def check_parts(self, config: DictConfig) -> None:
        """Of a config that was composed here and is still there. Imports torch. Raises UserError."""
        self.turn_to(self.wholes[id(config)])
        with explained():
            check_parts(config, self.passed)

    def chooses(self, override: Override) -> bool:
        """Whether an override picks an option of a group, as Hydra's defaults list sees it."""
        group: bool = self.loader.repository.group_exists(override.key_or_group)  # type: ignore[attr-defined]
        return group and not isinstance(override.value(), dict)

    def chosen(self, choices: Sequence[str]) -> DictConfig:
        """Of these options, with nothing changed in them; Hydra's node is where names resolve by it."""
        if tuple(choices) not in self.composed:
            words = [*self.hydra_overrides, *choices]
            whole = self.loader.load_configuration("config", words, RunMode.RUN)
            check_hydra(whole, words)
            rest = copy.deepcopy(whole)
            with open_dict(rest):
                del rest["hydra"]
            self.composed[tuple(choices)] = whole, rest
        whole, rest = self.composed[tuple(choices)]
        self.turn_to(whole)
        return rest

    def turn_to(self, whole: DictConfig | None) -> None:
        if self.current is not whole and whole is not None:
            HydraConfig.instance().set_config(whole)
            self.current = whole
