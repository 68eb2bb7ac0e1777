"""With what code and data a run began: written into its folder, compared when it goes on or is evaluated again."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dlhw.config.schema import GROUPS
from dlhw.errors import UserError
from dlhw.files import read_json, write_json
from dlhw.folder import fingerprint
from dlhw.folder.git import git_state


def note_data(folder: Path, data: Path | None) -> None:
    """Put down what the data files hold as the run in `folder` begins. data: the folder that they lie in, if any."""
    if data is not None:
        write_json(folder / "data.json", {"folder": str(data.resolve()), "files": fingerprint.contents(data)})


def noted_data(folder: Path) -> tuple[Path, dict[str, str]] | None:
    """Where the data of the run in `folder` lay as it began, and what they held; None where it noted none."""
    noted = read_json(folder / "data.json")
    files = noted.get("files")
    return (Path(str(noted.get("folder"))), files) if isinstance(files, dict) else None


def data_change(folder: Path, data: Path | None) -> str | None:
    """What is different in today's data files from those that the run in `folder` began with, in words.

    Empty where nothing is; None where the run noted none.
    """
    noted = noted_data(folder)
    if noted is None or data is None:
        return None
    before, today = noted[1], fingerprint.contents(data)
    names = [name for name in sorted({*before, *today}) if before.get(name) != today.get(name)]
    if not names:
        return ""
    how = "is missing" if names[0] not in today else "is new" if names[0] not in before else "has changed"
    others = f", and {len(names) - 1} more differ" if len(names) > 1 else ""
    return f"{data / names[0]} {how} since this run began{others}"


def refuse_other_data(folder: Path, data: Path | None) -> None:
    """Raises UserError where the run in `folder` would go on with other data than it began with."""
    if change := data_change(folder, data):
        raise UserError(f"{folder}: {change}; put the data back as they were, or start a new run (a sweep: rerun=true)")


def provenance(config: DictConfig, folder: Path) -> dict[str, Any]:
    """By what a later sweep knows whether the result in `folder` is still of today's code and data."""
    parts = {group: OmegaConf.to_container(config[group]) for group in (*GROUPS, "backend")}
    targets = sorted(set(fingerprint.targets_in(parts)))
    noted = noted_data(folder)
    data = noted and {"folder": str(noted[0]), "files": fingerprint.of_contents(noted[1])}
    git = git_state(fingerprint.own_sources(targets))
    return {"code": fingerprint.of_code(targets), "targets": targets, "git": git, "data": data}
