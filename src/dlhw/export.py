"""`dlhw-eval run=… export=FILE.safetensors`: a run's weights in a file that others read without running any code."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from dlhw.errors import UserError
from dlhw.evaluation import run_config, weights
from dlhw.one_run import display

log = logging.getLogger("dlhw")

SUFFIX = ".safetensors"


def export(asked: Any) -> Path:
    """Write the weights that the run tested, or those of `checkpoint`, under the names of the model's state_dict.

    The file's metadata: config (JSON, resolved), classes (JSON), preprocess (JSON: mean and std, where inputs are
    normalised), checkpoint and epoch. asked: see eval_cli.EvalConfig. Raises UserError, for a file that exists too.
    """
    folder, path = Path(asked.run), Path(asked.export).expanduser()
    if path.suffix != SUFFIX or not path.parent.is_dir():
        raise UserError(f"export={path}: names a {SUFFIX} file in a folder that is there")
    if path.exists():
        raise UserError(f"export={path}: is there already, and nothing is overwritten; name another file")
    config, results = run_config(folder, asked)
    state, name = weights(folder, asked.checkpoint, results, torch.device("cpu"))
    write_new(path, state["model"], {"checkpoint": name, "epoch": str(state["epoch"]), **described(config, state)})
    log.info("exported: %s, %d tensors of the weights of epoch %d", display(path.resolve()), len(state["model"]),
             state["epoch"])  # fmt: skip
    return path


def described(config: DictConfig, state: Mapping[str, Any]) -> dict[str, str]:
    preprocess = {key: value.tolist() for key, value in state["inputs"].items()}
    content = {
        "config": OmegaConf.to_container(config, resolve=True),
        "classes": OmegaConf.to_container(config.dataset.get("classes") or OmegaConf.create([])),
        "preprocess": preprocess,
    }
    return {key: json.dumps(value) for key, value in content.items()}


def write_new(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Whole or not at all, and never over another file: a link, unlike a renaming, refuses to take a place."""
    from safetensors.torch import save_file

    own = {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file(own, temporary, metadata={"format": "pt", **metadata})
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.link(temporary, path)
    except OSError as error:
        raise UserError(f"export={path}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
