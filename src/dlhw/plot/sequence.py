"""A sequence, its next value foretold from the true past, and its continuation from the model's own past."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlhw.plot import style
from dlhw.plot.run_folder import Floats, RunFolder

MOST_STEPS, LEAD = 400, 120  # of a longer sequence so many are shown, so many of them before the continuation
ERRORS_LOG_FROM = 30.0


def draw_sequence(run: RunFolder) -> Figure | None:
    none = np.empty(0)
    truth, one_step, free, clean = (
        run.arrays.get(f"sequence_{part}", none).astype(float)
        for part in ("truth", "one_step", "free_running", "clean")
    )
    if truth.ndim != 1 or not len(truth) or not truth.shape == one_step.shape == free.shape:
        return None
    started = np.flatnonzero(np.isfinite(free))
    fallback = started[0] if len(started) else len(truth)
    start = int(run.arrays.get("sequence_start", np.array(fallback)))
    first = min(max(0, start - LEAD), max(0, len(truth) - MOST_STEPS)) if len(truth) > MOST_STEPS else 0
    shown = slice(first, first + MOST_STEPS)
    steps = np.arange(len(truth), dtype=float)[shown]

    figure = style.new_figure(9.6, 5.6, "Sequence", run.name)
    grid = figure.add_gridspec(2, 1, height_ratios=(2, 1))
    above = figure.add_subplot(grid[0])
    below = figure.add_subplot(grid[1], sharex=above)
    _draw_values(above, steps, {
        "truth, without its noise": clean[shown] if clean.shape == truth.shape else none,
        "truth": truth[shown], "one-step prediction": one_step[shown], "free-running continuation": free[shown],
    })  # fmt: skip
    errors = {"one-step prediction": one_step - truth, "free-running continuation": free - truth}
    _draw_errors(below, steps, {label: np.abs(error[shown]) for label, error in errors.items()})
    for ax in (above, below):
        if steps[0] < start <= steps[-1]:
            ax.axvline(start, color=style.MUTED, linewidth=1.0, linestyle=":", marker="",
                       label="the continuation begins")  # fmt: skip
        ax.set_xlim(steps[0] - 0.5, steps[-1] + 0.5)
    above.tick_params(labelbottom=False)
    part = f"steps {steps[0]:.0f} to {steps[-1]:.0f} of {len(truth)}; " if len(steps) < len(truth) else ""
    style.caption(above, f"test, {run.weights}; {part}from step {start} on the continuation sees its own values only")
    said = [f"{label} {size:.3g}" for label, error in errors.items() if np.isfinite(size := _rms(error))]
    style.caption(below, f"root mean square over the whole sequence: {', '.join(said)}" if said else "")
    style.legend_below(figure, [above])
    return figure


def _draw_values(ax: Axes, steps: Floats, curves: dict[str, Floats]) -> None:
    style.dress(ax)
    style.label_axes(ax, "", "Value")
    looks = {
        "truth, without its noise": {"color": "#aaaaaa", "linewidth": 3.5, "linestyle": "-", "alpha": 0.7},
        "truth": {"color": style.INK, "linewidth": 1.2, "linestyle": "-"},
        "one-step prediction": {"color": style.BLUE, "linewidth": 1.3, "linestyle": "-."},
        "free-running continuation": {"color": style.VERMILION, "linewidth": 1.6, "linestyle": "--"},
    }
    single = "o" if len(steps) == 1 else ""
    for label, values in curves.items():
        if np.isfinite(values).any():
            finite = np.where(np.isfinite(values), values, np.nan)
            ax.plot(steps, finite, label=label, marker=single, **looks[label])  # type: ignore[arg-type]
    _keep_in_sight(ax, curves)


def _keep_in_sight(ax: Axes, curves: dict[str, Floats]) -> None:
    """A continuation that runs away does not squeeze the rest."""
    near = [values[np.isfinite(values)] for label, values in curves.items() if label != "free-running continuation"]
    known = np.concatenate(near)
    free = curves["free-running continuation"]
    if not len(known):
        return
    low, high = known.min(), known.max()
    room = (high - low) or 1.0
    if np.isfinite(free).any():
        low = min(low, max(np.nanmin(free[np.isfinite(free)]), low - room))
        high = max(high, min(np.nanmax(free[np.isfinite(free)]), high + room))
    margin = 0.06 * (high - low) or 0.5
    ax.set_ylim(low - margin, high + margin)


def _draw_errors(ax: Axes, steps: Floats, errors: dict[str, Floats]) -> None:
    style.dress(ax)
    style.label_axes(ax, "Step", "Absolute error")
    looks = {"one-step prediction": (style.BLUE, "-"), "free-running continuation": (style.VERMILION, "--")}
    single = "o" if len(steps) == 1 else ""
    sizes = []
    for label, error in errors.items():
        if np.isfinite(error).any():
            colour, line = looks[label]
            finite = np.where(np.isfinite(error), error, np.nan)
            ax.plot(steps, finite, color=colour, linestyle=line, linewidth=1.3, marker=single)
            sizes.append(np.nanmedian(finite))
    ax.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True, min_n_ticks=1))
    if len(sizes) == 2 and min(sizes) > 0 and max(sizes) > ERRORS_LOG_FROM * min(sizes):
        ax.set_yscale("log")
        ax.set_ylim(min(sizes) / 10)
    else:
        ax.set_ylim(bottom=0)


def _rms(error: Floats) -> float:
    finite = error[np.isfinite(error)]
    return float(np.sqrt((finite**2).mean())) if len(finite) else float("nan")
