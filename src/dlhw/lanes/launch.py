"""A sweep's runs as lanes: grouped, trained a group after the other, and what fits no group alone."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from dlhw.lanes.group import grouped
from dlhw.lanes.train import train_lanes

log = logging.getLogger("dlhw_sweep")


def train_planned(
    folders: Sequence[Path], max_lanes: int | None, on_error: str, train_alone: Callable[[Sequence[Path]], None],
    trust: Sequence[str] = (),
) -> None:  # fmt: skip
    """Train planned runs, each by the config in its folder. max_lanes: of a group, beside what memory holds."""
    grouping = grouped(folders, max_lanes, trust)
    log.info(grouping.told())
    alone = list(grouping.alone)
    for group in grouping.together:
        if not (group[0].parent / ".stop").exists():
            alone += train_lanes(group, on_error, trust)
    if alone:
        train_alone(alone)
