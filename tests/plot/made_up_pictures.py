"""Made-up arrays of each kind that a run may leave behind, of plausible looks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
DIGITS = ("background", *map(str, range(10)))


def blurred(noise: NDArray[Any], times: int = 2) -> NDArray[Any]:
    """Along the last two axes."""
    for _ in range(times):
        for axis in (-2, -1):
            noise = (noise + np.roll(noise, 1, axis) + np.roll(noise, -1, axis)) / 3
    return noise


def first_layer(shape: tuple[int, ...] = (30, 1, 5, 5), grown: float = 20.0, seed: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    before = rng.normal(0, 0.01, shape)
    after = before + grown * 0.01 * blurred(rng.normal(0, 1, shape), 1)
    return {"first_layer_before": before.astype(np.float32), "first_layer_after": after.astype(np.float32)}


def filter_outputs(n: int = 30, channels: int = 1, side: int = 28, seed: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side - 0.5
    ring = np.exp(-(((np.hypot(1.3 * x, y) - 0.28) / 0.06) ** 2))
    image = np.stack([(255 * ring / (1 + 0.5 * c)).astype(np.uint8) for c in range(channels)])
    slopes = np.gradient(ring)
    turns = rng.uniform(0, 2 * np.pi, n)
    outputs = [np.cos(t) * slopes[0] + np.sin(t) * slopes[1] + 0.1 * np.sin(7 * t) * ring for t in turns]
    return {"filter_image": image, "filter_outputs": np.stack(outputs)[:, 2:-2, 2:-2].astype(np.float32)}


def activations(layers: int = 5, kind: str = "relu", bins: int = 60, seed: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    arrays: dict[str, list[Any]] = {f"{p}_{m}": [] for p in ("edges", "counts") for m in ("before", "after")}
    for layer in range(layers):
        for moment, spread in (("before", 0.8**layer), ("after", 1.5)):
            values = rng.normal(-0.3 if moment == "after" else 0, spread, 4000)
            values = np.maximum(values, 0) if kind == "relu" else 1 / (1 + np.exp(-3 * values))
            counts, edges = np.histogram(values, bins)
            arrays[f"edges_{moment}"].append(edges)
            arrays[f"counts_{moment}"].append(counts)
    names = np.array([f"layers.{layer}.{kind}" for layer in range(layers)])
    return {"activation_names": names} | {f"activation_{key}": np.stack(rows) for key, rows in arrays.items()}


def segmentation(n: int = 6, side: int = 64, channels: int = 1, classes: tuple[str, ...] = DIGITS) -> Arrays:
    """Discs of a class each on noise; the prediction shifted a little, now and then of another class."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    images = rng.integers(0, 76, (n, channels, side, side)).astype(np.uint8)
    masks, preds = np.zeros((n, side, side), np.uint8), np.zeros((n, side, side), np.uint8)
    for index in range(n):
        for _ in range(rng.integers(1, 4)):
            at, radius, which = rng.integers(12, side - 12, 2), rng.integers(6, 11), rng.integers(1, len(classes))
            disc = np.abs(np.hypot(x - at[0], y - at[1]) - radius + 3) < 3
            moved = np.roll(disc, rng.integers(-1, 2, 2), (0, 1))
            masks[index][disc] = which
            preds[index][moved] = which if rng.random() < 0.8 else rng.integers(1, len(classes))
            images[index][:, disc] = rng.integers(160, 255, (channels, disc.sum()))
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (masks.ravel(), preds.ravel()), 500)
    with np.errstate(invalid="ignore"):
        iou = np.diag(confusion) / (confusion.sum(0) + confusion.sum(1) - np.diag(confusion))
    return {
        "sample_images": images, "sample_masks": masks, "sample_mask_preds": preds, "classes": np.array(classes),
        "confusion": confusion, "iou": iou,
    }  # fmt: skip


def restoration(n: int = 6, channels: int = 1, side: int = 28) -> Arrays:
    rng = np.random.default_rng(0)
    clean = blurred((blurred(rng.random((n, channels, side, side)), 4) > 0.5).astype(float), 1)
    noisy = clean + rng.normal(0, 0.3, clean.shape)
    restored = clean + blurred(rng.normal(0, 0.15, clean.shape), 2)

    def psnr(images: NDArray[Any]) -> NDArray[Any]:
        return -10 * np.log10(((images - clean) ** 2).mean((1, 2, 3)))

    images = {"sample_noisy": noisy, "sample_clean": clean, "sample_restored": restored}
    return {
        **{key: value.astype(np.float32) for key, value in images.items()},
        "sample_psnr_noisy": psnr(noisy),
        "sample_psnr_restored": psnr(restored),
    }


def sequence(steps: int = 300, start: int = 180, noise: float = 0.1, drift: float = 0.003, window: int = 20) -> Arrays:
    rng = np.random.default_rng(0)
    at = np.arange(steps)
    clean = np.sin(2 * np.pi * at / 40)
    truth = clean + rng.normal(0, noise, steps)
    one_step = np.where(at >= window, clean + rng.normal(0, 0.03, steps), np.nan)
    since = np.maximum(at - start, 0)
    free = np.where(at >= start, np.exp(-drift * since) * np.sin(2 * np.pi * (at + 0.02 * since) / 40), np.nan)
    return {
        "sequence_truth": truth, "sequence_one_step": one_step, "sequence_free_running": free,
        "sequence_start": np.array(start), "sequence_clean": clean,
    }  # fmt: skip


def xor_surface(learned: bool = True, side: int = 101) -> Arrays:
    at = np.linspace(-0.5, 1.5, side)
    points = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)

    def answer(a: Any, b: Any) -> Any:
        s = 1 / (1 + np.exp(-10 * (a + b - 0.5))) - 1 / (1 + np.exp(-10 * (a + b - 1.5)))
        return 0.03 + 0.94 * s if learned else np.full_like(s, 0.5)

    return {
        "surface_x": at, "surface_y": at, "surface_values": answer(*np.meshgrid(at, at)).astype(np.float32),
        "points": points, "point_targets": np.array([0, 1, 1, 0]), "point_outputs": answer(points[:, 0], points[:, 1]),
    }  # fmt: skip


def class_surface(n: int = 200, classes: int = 3, side: int = 120) -> Arrays:
    rng = np.random.default_rng(0)
    x, y = np.linspace(-3, 3, side), np.linspace(-2, 2, side)
    centres = 1.5 * np.stack([np.cos(np.arange(classes) * 2), np.sin(np.arange(classes) * 2)], 1)
    targets = rng.integers(classes, size=n)
    points = centres[targets] + rng.normal(0, 0.5, (n, 2))

    def nearest(places: NDArray[Any]) -> NDArray[Any]:
        return ((places[..., None, :] - centres) ** 2).sum(-1).argmin(-1)

    return {
        "surface_x": x, "surface_y": y, "surface_values": nearest(np.stack(np.meshgrid(x, y), -1)),
        "surface_classes": np.array([f"class {k}" for k in range(classes)]),
        "points": points, "point_targets": targets, "point_outputs": nearest(points),
    }  # fmt: skip


def regression(n: int = 300, whole: bool = False) -> Arrays:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 10, n).astype(float) if whole else rng.normal(0, 1, n)
    return {"target_values": targets, "output_values": targets + rng.normal(0, 0.35 if whole else 0.1, n)}
