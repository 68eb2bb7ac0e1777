"""A run evaluated again. It reads the run's folder and adds one file under evaluations/, changing none."""

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig

from dlhw.dataset.decode import decode
from dlhw.dataset.preprocess import Preprocess
from dlhw.errors import UserError, first_line
from dlhw.files import write_json
from dlhw.folder import checkpoint
from dlhw.folder.environment import environment
from dlhw.folder.provenance import data_change
from dlhw.folder.results import times_tested, times_tested_since
from dlhw.folder.resume import read_json, saved_config
from dlhw.machine import choose_device, choose_dtype, cpu_settings
from dlhw.memory import in_parts
from dlhw.one_run import display, judge, settings_of
from dlhw.out_of_memory import telling
from dlhw.prepare import build_model, place, prepare, use_channels_last

log = logging.getLogger("dlhw")

ELSEWHERE = "evaluate it on another device (device=cpu) or machine"


def evaluate(asked: Any) -> dict[str, Any]:
    """Evaluate a run on one of its splits, print and record the figures. asked: see eval_cli.EvalConfig."""
    folder = Path(asked.run)
    config, results = run_config(folder, asked)
    config.logger = None
    experiment = prepare(config, trained=True)
    if getattr(experiment.splits, asked.split) is None:
        raise UserError(f"split=val: {folder} was trained with dataset.val_size=0; it has the splits test and train")
    state, name = weights(folder, asked.checkpoint, results, experiment.trainer.device)
    experiment.trainer.model.load_state_dict(state["model"])
    with (
        settings_of(experiment),
        telling("a sample at a time", experiment.trainer.device, ELSEWHERE),
        experiment.opened(asked.split) as split,
    ):
        figures, _ = judge(experiment, asked.split, split)
    for key, value in figures.items():
        shown = value if isinstance(value, float) else " ".join("-" if v is None else f"{v:.4f}" for v in value)
        log.info("%s %s", key, shown)
    change = data_change(folder, experiment.data)
    if change:
        log.warning("warning: other data: %s", change)
    described = {"run": str(folder), "split": asked.split, "checkpoint": name, "epoch": state["epoch"]}
    described["data_changed"] = None if change is None else bool(change)
    if asked.split == "test":
        described["test_evaluation"] = 1 + times_tested(folder) + times_tested_since(folder)
    told = {**described, **figures, "threads": experiment.threads, **environment(experiment.trainer.device)}
    path = folder / "evaluations" / f"{time.strftime('%Y-%m-%d_%H-%M-%S')}-{time.time_ns() % 10**9:09d}.json"
    write_json(path, told)
    log.info("recorded: %s", display(path.resolve()))
    return told


def classify(asked: Any) -> list[tuple[str, str, float]]:
    """Print and return each image's predicted class and its probability. The data set itself is not needed."""
    folder = Path(asked.run)
    config, results = run_config(folder, asked)
    if config.dataset.task != "classification" or "image_size" not in config.dataset:
        raise UserError(f"images=…: {folder} was not trained to tell classes of images ({config.dataset.task})")
    device = choose_device(config.device)
    dtype = choose_dtype(config.precision, device)
    state, _ = weights(folder, asked.checkpoint, results, device)
    model = build_model(config, trained=True)
    channels_last = use_channels_last(config.channels_last, model, device, config.precision)
    model = place(model, device, dtype, channels_last).eval()
    model.load_state_dict(state["model"])
    preprocess = Preprocess.from_state_dict(state["inputs"], dtype, channels_last).to(device)
    channels, size = config.dataset.in_channels, config.dataset.image_size
    images = np.stack([read_image(path, channels, size) for path in asked.images])
    with torch.no_grad(), cpu_settings(config.threads), telling("an image at a time", device, ELSEWHERE):
        outputs, _ = in_parts(model, preprocess(torch.from_numpy(images).to(device)), len(images))
        probs, preds = outputs.softmax(1).max(1)
    classes = list(config.dataset.classes)
    answers = [(str(path), classes[int(k)], float(p)) for path, k, p in zip(asked.images, preds, probs, strict=True)]
    for path, name, prob in answers:
        log.info("%s: %s (%.1f%%)", path, name, 100 * prob)
    return answers


def run_config(folder: Path, asked: Any) -> tuple[DictConfig, dict[str, Any]]:
    """The run's config, with the device, precision and threads it had, so that its figures come out exactly again."""
    config = saved_config(folder, "run", asked.trust)
    results = read_json(folder / "results.json")
    config.precision = results.get("precision", config.precision)
    if asked.device != "auto":
        config.device = asked.device
    elif results.get("device", "cpu").startswith("cpu"):
        config.device = "cpu"
    config.threads = results.get("threads", config.threads)
    if config.threads == "auto":
        config.threads = 1
    if asked.data_dir is not None:
        config.data_dir = asked.data_dir
    return config, results


def weights(folder: Path, which: str, results: dict[str, Any], device: torch.device) -> tuple[dict[str, Any], str]:
    """A checkpoint's state with the weights asked for under "model". auto: those that the run tested."""
    if which == "auto":
        which = "last" if results.get("best_epoch") is None else "best"
    return (checkpoint.load_best if which == "best" else checkpoint.load_last)(folder, device), which


def read_image(path: str, in_channels: int, size: int) -> np.ndarray:
    """(C, S, S) uint8 of a user's image file, read as an image folder's files are."""
    try:
        return decode(Path(path), in_channels, size)
    except Exception as error:  # what Pillow raises at a broken file is of many kinds
        raise UserError(f"images: {path}: cannot be read as an image: {first_line(error)}") from error
