"""What the curves are to be held against: trivial baselines, and a loss to get below."""

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from dlhw.plot import style
from dlhw.plot.quantity import Quantity
from dlhw.plot.run_folder import Floats, RunFolder

SQUEEZE = 1.9  # a baseline is drawn where it stretches the axis at most so much
NEAR = 0.06  # of the axis: baselines closer than this share a label


def baselines(run: RunFolder, metric: str) -> dict[str, float]:
    """What each trivial baseline scores in a metric, as results.json has it, with or without `test/` in front."""
    recorded = run.results.get("baselines")
    found = {}
    for name, scores in recorded.items() if isinstance(recorded, dict) else ():
        value = scores.get(metric, scores.get(f"test/{metric}")) if isinstance(scores, dict) else None
        if isinstance(value, int | float) and np.isfinite(value):
            found[name.replace("_", " ")] = float(value)
    return found


def draw_baselines(ax: Axes, scores: dict[str, float], shown: Quantity) -> list[str]:
    """Thin labelled lines in axes whose range is set; hands back, in words, those that would have squeezed it."""
    low, high = ax.get_ylim()
    size = high - low
    drawn, left_out = {}, []
    for name, score in sorted(scores.items(), key=lambda item: abs(item[1] * shown.scale - (low + high) / 2)):
        value = score * shown.scale
        new_low, new_high = min(low, value - 0.06 * size), max(high, value + 0.06 * size)
        log = ax.get_yscale() == "log"
        if (log and not ax.get_ylim()[0] <= value <= ax.get_ylim()[1]) or new_high - new_low > SQUEEZE * size:
            left_out.append(f"{style.shorten(name, 24)} {shown.show(score)}")
            continue
        low, high = (low, high) if log else (new_low, new_high)
        drawn[name] = score
    ax.set_ylim(low, high)
    groups: list[list[str]] = []
    for name in sorted(drawn, key=lambda name: drawn[name]):
        ax.axhline(drawn[name] * shown.scale, color=style.MUTED, linewidth=0.8, linestyle=(0, (6, 3)), marker="",
                   label="_baseline", zorder=1.5)  # fmt: skip
        near = groups and (drawn[name] - drawn[groups[-1][0]]) * shown.scale < NEAR * (high - low)
        groups[-1].append(name) if near else groups.append([name])
    for group in groups:
        said = ", ".join(f"{style.shorten(name, 24)} {shown.show(drawn[name])}" for name in group)
        value = drawn[group[-1]] * shown.scale
        left = _room(ax, value, 0.0) > _room(ax, value, 1.0)
        ax.annotate(
            said, (0.01 if left else 0.99, value), xycoords=ax.get_yaxis_transform(), xytext=(0, 1.5),
            textcoords="offset points", ha="left" if left else "right", va="bottom", zorder=1.6,
            **style.plain(style.SMALL - 1, style.MUTED),
        ).set_in_layout(False)  # fmt: skip
    return left_out


def _room(ax: Axes, value: float, end: float) -> float:
    """How far the curves keep from what stands just above `value` at the left (0) or right (1) end."""
    first, last = ax.get_xlim()
    words = value + 0.03 * (ax.get_ylim()[1] - ax.get_ylim()[0])
    nearest = float("inf")
    for line in ax.lines:
        x, y = (np.asarray(data, dtype=float) for data in line.get_data())
        at_end = np.isfinite(y) & (np.abs((x - first) / (last - first) - end) < 0.4)
        if str(line.get_label()).startswith(("train", "val", "test")) and at_end.any():
            nearest = min(nearest, float(np.abs(y[at_end] - words).min()))
    return nearest


def loss_below(run: RunFolder) -> tuple[float, float | None] | None:
    """The loss asked for, and the step that first got below it (None: none did)."""
    asked = run.results.get("loss_below")
    if not isinstance(asked, dict):
        return None
    loss, step = asked.get("loss"), asked.get("step")
    if not isinstance(loss, int | float) or not np.isfinite(loss):
        return None
    return float(loss), float(step) if isinstance(step, int | float) and np.isfinite(step) else None


def draw_loss_below(ax: Axes, asked: tuple[float, float | None], run: RunFolder) -> None:
    loss, step = asked
    look: dict[str, Any] = {"color": style.INK, "linewidth": 0.9, "marker": ""}
    said = f"loss below {loss:g}" + (": never" if step is None else f", first at step {step:,.0f}")
    ax.axhline(loss, linestyle=(0, (1, 1.5)), label=said, **look)
    if step is None:
        return
    at = epochs_of(run, np.array([step]))
    ax.axvline(at[0], linestyle=(0, (1, 1.5)), label="_loss below", **look)
    ax.plot(at, [loss], linestyle="none", marker="v", markersize=7, color=style.INK, label="_loss below", zorder=5)


def epochs_of(run: RunFolder, steps: Floats) -> Floats:
    """Steps told in epochs: the last step of epoch 3 is at 3."""
    ends, epochs = run.metrics.get("step", np.empty(0)), run.metrics["epoch"]
    known = np.isfinite(ends) & np.isfinite(epochs) if len(ends) else np.zeros(0, bool)
    return np.interp(steps, [0.0, *ends[known]], [0.0, *epochs[known]]) if known.any() else steps


def below(lines: list[str], caption: str) -> str:
    """The caption with a line before it for baselines that are not drawn."""
    if not lines:
        return caption
    aside = textwrap.fill(f"{'baselines' if len(lines) > 1 else 'baseline'} off the axis: {', '.join(lines)}", 66)
    return f"{aside}\n{caption}" if caption else aside
