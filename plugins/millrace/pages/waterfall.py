"""How a row comes to its score: from the expected value, contribution by contribution.

Drawn here and not by shap: its arrows point backwards where they are shorter than their heads, and
it rounds what is below 0.005 to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from millrace.pages.figures import COLOURS, STYLE

LOWERS, RAISES, LINE = COLOURS[0], COLOURS[1], "#777f87"
ROOM = 0.2  # beside the bars, for their numbers, as a share of what the bars span


def waterfall(
    labels: Sequence[str], values: np.ndarray, expected: float, unit: str, most: int
) -> Figure:
    """The largest contributions above, what all others add up to at the bottom.

    Args:
        labels: of the features.
        values: their contributions to one score, shape (features,).
        expected: the score that they are added to.
        unit: of the score, in words.
        most: bars at most, that of the others included.
    """
    steps = _steps(labels, values, most)
    added = np.array([value for _, value in steps])
    ends = expected + np.cumsum(added)
    starts = np.concatenate([[expected], ends[:-1]])
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(9, 5.8), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        colours = [RAISES if value >= 0 else LOWERS for value in added]
        axes.barh(range(len(steps)), added, left=starts, color=colours, height=0.7)
        rows = np.arange(len(steps) - 1)
        axes.vlines(ends[:-1], rows - 0.35, rows + 1.35, color=LINE, linewidth=0.6)
        for end in (expected, ends[-1]):
            axes.axvline(end, color=LINE, linewidth=0.8, linestyle=":", zorder=0)
        _number(axes, starts, added)
        axes.set_yticks(range(len(steps)), [label for label, _ in steps])
        axes.set_ylim(-0.6, len(steps) - 0.4)
        low, high = min(expected, ends.min()), max(expected, ends.max())
        room = ROOM * ((high - low) or 1)
        axes.set_xlim(low - room, high + room)
        score = float(ends[-1])
        axes.set_xlabel(f"From the expected value {expected:.3f} to the score {score:.3f} ({unit})")
    return figure


def _steps(labels: Sequence[str], values: np.ndarray, most: int) -> list[tuple[str, float]]:
    """Labels and contributions from the bottom of the picture to its top."""
    order = np.argsort(-np.abs(values), kind="stable")
    kept = order if len(order) <= most else order[: most - 1]
    steps = [(labels[place], float(values[place])) for place in reversed(kept)]
    if others := len(order) - len(kept):
        rest = float(values[order[len(kept) :]].sum())
        steps.insert(0, (f"{others:,} other features", rest))
    return steps


def _number(axes: Axes, starts: np.ndarray, added: np.ndarray) -> None:
    """Write each contribution beyond the end of its bar."""
    for row, (start, value) in enumerate(zip(starts, added, strict=True)):
        axes.annotate(
            f"{value:+.3g}".replace("-", "\N{MINUS SIGN}"), (start + value, row),
            xytext=(4 if value >= 0 else -4, 0), textcoords="offset points", va="center",
            ha="left" if value >= 0 else "right", color=RAISES if value >= 0 else LOWERS,
        )  # fmt: skip
