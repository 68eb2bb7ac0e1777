"""Which runs of a sweep go together: those that are equal but for what can be a tensor in one program."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dlhw.config.saved import load_config
from dlhw.config.schema import GROUPS
from dlhw.config.targets import locate
from dlhw.dataset.batches import Splits
from dlhw.dataset.held_out import tensor_bytes
from dlhw.errors import UserError, first_line
from dlhw.folder.checkpoint import stopped_within_epoch
from dlhw.lanes.optim import NUMBERS, RULES
from dlhw.lanes.rehearsal import refusal
from dlhw.machine import cpu_settings
from dlhw.memory import free_bytes
from dlhw.prepare import Experiment, prepare
from dlhw.sweep.identity import digest

FREE = (  # keys in which the lanes of a group may differ; each has a schedule, a monitor and a logger of its own
    *("name", "seed", "scheduler", "monitor", "early_stopping", "loss_below", "plots", "checkpoints"),
    *("checkpoint_every", "logger"),
    *("resume", "study", "seeds", "on_error", "rerun", "dry_run"),
)
FREE_OF_PARTS = {
    "dataset": ("seed",),
    "model": ("init", "init_layers", "std"),
    "loss": ("label_smoothing",),
    "optimizer": NUMBERS,
}
SHARE = 0.8  # of the free memory


@dataclass
class Grouping:
    """together: runs of each group. alone: the others, each with the reason."""

    together: list[list[Path]]
    alone: dict[Path, str]

    def told(self) -> str:
        """In a line."""
        lanes = ", ".join(str(len(group)) for group in self.together)
        words = [f"{len(self.together)} group(s) of lanes ({lanes})" if self.together else "no group of lanes"]
        reasons = "; ".join(dict.fromkeys(self.alone.values()))
        return ", ".join([*words, *([f"{len(self.alone)} run(s) alone: {reasons}"] if self.alone else [])])


def grouped(folders: Sequence[Path], max_lanes: int | None, trust: Sequence[str] = ()) -> Grouping:
    """Group planned runs by the configs in their folders. One run of each kind is prepared, and two lanes rehearsed."""
    found: dict[str, list[Path]] = {}
    configs = {folder: load_config(folder, trust) for folder in folders}
    grouping = Grouping([], {})
    for folder, config in configs.items():
        if stands_apart(folder):
            grouping.alone[folder] = "it stopped within an epoch"
        else:
            found.setdefault(kind(config), []).append(folder)
    for alike in found.values():
        reason, room = fit(configs[alike[0]]) if len(alike) > 1 else ("no other run is like it", 1)
        room = min(room, max_lanes or room)
        if reason or room == 1:
            grouping.alone |= dict.fromkeys(alike, reason or "there is room for one lane")
        else:
            grouping.together += evenly(alike, room)
    return grouping


def stands_apart(folder: Path) -> bool:
    """Whether a run is in the middle of an epoch, where lanes have no place for it."""
    try:
        return stopped_within_epoch(folder)
    except UserError:  # its own training will tell
        return True


def kind(config: DictConfig) -> str:
    """Equal for runs that may go together."""
    content: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    kept = {key: value for key, value in content.items() if key not in FREE}
    for part in (part for part in GROUPS if part in kept):
        free = FREE_OF_PARTS.get(part, ())
        kept[part] = {key: shape_of(key, value) for key, value in kept[part].items() if key not in free}
    return digest(kept)


def shape_of(key: str, value: Any) -> Any:
    """A rate of dropout does not change a net's shape, but whether there is dropout does."""
    return bool(value) if key.endswith("dropout") else value


def fit(config: DictConfig) -> tuple[str, int]:
    """Why runs like this one must train alone, empty if they need not; and how many lanes there is room for."""
    if str(config.backend._target_).rpartition(".")[2] != "torch_backend":
        return "their backend is not torch", 1
    if locate(config.optimizer._target_, "optimizer", config.trust) not in RULES:
        return f"{config.optimizer._target_} has no rule for lanes", 1
    if config.compile:
        return "compile=true", 1
    try:
        experiment = prepare(config.copy())
    except Exception as error:  # their own trainings will tell
        return f"not prepared: {first_line(error)}", 1
    with cpu_settings(experiment.threads):
        reason = refusal(experiment.trainer)
    free = free_bytes(experiment.trainer.device)
    return reason, max(1, int(SHARE * free / lane_bytes(experiment)))


def lane_bytes(experiment: Experiment) -> int:
    """About what a lane takes: its data, weights and optimizer twice (its own, and in the stack), and activations."""
    trainer = experiment.trainer
    itemsize = next(trainer.model.parameters()).element_size()
    weights = sum(tensor.numel() * tensor.element_size() for tensor in trainer.model.state_dict().values())
    values = [prod((layer.output_shape or (0,))[1:]) for layer in experiment.layers]
    training = 3 * trainer.batch_size * sum(values)  # kept, their gradients, and what is on the way
    evaluating = 3 * trainer.eval_batch_size * max(values)
    return int(data_bytes(experiment.splits) + 9 * weights + itemsize * max(training, evaluating))


def data_bytes(splits: Splits) -> int:
    """Of the tensors that the splits hold."""
    return sum(tensor_bytes(split) for split in (splits.train, splits.val, splits.test) if split is not None)


def evenly(folders: Sequence[Path], most: int) -> list[list[Path]]:
    """In as few groups as can be, whose sizes differ by one at most."""
    groups = -(-len(folders) // most)
    return [list(folders[index::groups]) for index in range(groups)]
