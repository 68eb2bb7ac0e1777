"""Hydra's basic sweeper with dlhw's strict check before job 0 and the count of failures after the last.

Hydra finds plugins by importing every module here, so the imports that cost wait until a sweep begins.
"""

import logging
from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser

from dlhw.errors import UserError

log = logging.getLogger("dlhw")


class DlhwSweeper(BasicSweeper):
    def sweep(self, arguments: list[str]) -> Any:
        """Check every job's config, run them all, and exit with 1 if any failed."""
        self.check_jobs(arguments)
        try:
            batches = super().sweep(arguments)
        except OSError as error:  # of the sweep's own folder; a job's errors stay in the job's
            raise UserError(
                f"cannot write to {error.filename}: {error.strerror}; stand in another folder, or set hydra.sweep.dir"
            ) from error
        outcomes = [job.return_value for batch in batches for job in batch]
        failed = sum(outcome is None for outcome in outcomes)
        log.info("%d of %d runs finished: %s", len(outcomes) - failed, len(outcomes), self.config.hydra.sweep.dir)
        if failed:
            raise SystemExit(1)
        return batches

    def check_jobs(self, arguments: list[str]) -> None:
        """Compose and check each job, so that a mistake stops the sweep before anything is written."""
        from dlhw.compose import settle
        from dlhw.explain import WHILE_COMPOSING, one_line

        loader = self.hydra_context.config_loader
        parser = OverridesParser.create(config_loader=loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        for batch in self.split_arguments(overrides, max_batch_size=None):
            for job in batch:
                try:
                    config = loader.load_sweep_config(self.config, list(job))
                    HydraConfig.instance().set_config(config)
                    settle(config, job)
                except WHILE_COMPOSING as error:
                    raise UserError(one_line(error)) from error

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Done by `check_jobs`, once."""


ConfigStore.instance().store(
    group="hydra/sweeper",
    name="dlhw",
    node=BasicSweeperConf(_target_="hydra_plugins.dlhw_sweeper.DlhwSweeper"),
    provider="dlhw",
)
