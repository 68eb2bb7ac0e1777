"""What a report says, as plain data: read from outputs/ by reading.py, shown by tables.py, pictures.py and page.py."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Status = Literal["finished", "failed", "interrupted", "running", "queued"]


@dataclass(frozen=True)
class Run:
    """One run's folder.

    label: short and unique within the report. config: of `.hydra/config.yaml`, flattened to dotted keys, its
    interpolations as they stand. figures: the numbers of results.json (`test/accuracy`, `train/loss`, `val/loss`,
    `seconds`, `best_epoch`, …), with `first_below` (the step that `loss_below` asks for) and `gap`
    (`train/accuracy` minus `test/accuracy`) beside them. rows: of metrics.csv by column. error and traceback: of a
    failed run. queued: planned, with no status.json yet.
    """

    folder: Path
    label: str
    status: Status
    overrides: list[str]
    config: dict[str, Any]
    figures: dict[str, float]
    results: dict[str, Any]
    rows: dict[str, Floats]
    error: str = ""
    traceback: str = ""

    @property
    def seed(self) -> int:
        return int(self.config.get("seed", 0))


@dataclass(frozen=True)
class Estimate:
    """A figure over seeds. sd: the sample standard deviation; None of one value."""

    mean: float
    sd: float | None
    values: tuple[float, ...]

    @property
    def n(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Setting:
    """The runs that differ by seed alone. values: what was swept, by key, without the seed."""

    values: dict[str, Any]
    runs: list[Run]
    figures: dict[str, Estimate]  # over the finished runs

    @property
    def label(self) -> str:
        return ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in self.values.items()) or "all runs"


@dataclass(frozen=True)
class Comparison:
    """Two settings on one metric. difference: mean of a minus mean of b.

    p: of a paired t test where the seeds are the same, of Welch's elsewhere, with Holm's correction for the report's
    comparisons; None where a seed alone stands on a side.
    """

    metric: str
    a: Setting
    b: Setting
    difference: float
    p: float | None
    paired: bool
    says: str  # the one sentence that a reader needs


Verdict = Literal["agrees", "differs", "not judged", "not run"]


@dataclass(frozen=True)
class Row:
    """One row of a study's table: what the source reports and what was measured.

    by: the key whose values name the rows of the table, where there is one.
    """

    table: str
    label: str
    setting: Setting | None
    reported: dict[str, float]
    verdicts: dict[str, Verdict]  # by metric
    verdict: Verdict  # of the row
    note: str = ""
    curves: dict[str, list[float]] = field(default_factory=dict)  # the source's figures by epoch, from epoch 1
    by: str = ""


@dataclass(frozen=True)
class Claim:
    """What a source says of its results, and whether the runs bear it out; evidence: the figures, in one sentence."""

    says: str
    verdict: Literal["holds", "does not hold", "within seed noise", "not judged"]
    evidence: str


@dataclass(frozen=True)
class Report:
    """Everything that is told. folder: where its files go. keys: what was swept, without the seed. metric: the one that
    the tables begin with.

    chosen_by: the validation metric that names `best`; None where the runs have no validation split, and then best is
    None, since the test split chooses nothing.
    """

    kind: Literal["sweep", "study", "runs"]
    title: str
    question: str
    folder: Path
    commands: list[str]
    keys: list[str]
    metric: str
    chosen_by: str | None
    best: Setting | None
    settings: list[Setting]
    runs: list[Run]
    comparisons: list[Comparison]
    rows: list[Row]
    claims: list[Claim]
    notes: list[str]  # of a study: its source, what it leaves unsaid, what is inferred, how it was judged
    environment: dict[str, str]

    @property
    def failures(self) -> list[Run]:
        return [run for run in self.runs if run.status in ("failed", "interrupted")]
