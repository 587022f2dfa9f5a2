"""The charts of a calibrated model and of what its decisions cost."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np

from millrace.costs import cost_curve, fixed_costs
from millrace.evaluate import curves
from millrace.pages.figures import STYLE, Chart, _axes, _mark
from millrace.pages.render import decimal


def reliability_chart(target: np.ndarray, before: np.ndarray, after: np.ndarray) -> Chart:
    """Out-of-fold predictions against observed shares, before and after calibration."""
    with mpl.rc_context(STYLE):
        figure, axes = _axes("Mean predicted probability", "Observed share of positives")
        end, error = 0.01, {}
        for name, p in (("before", before), ("after", after)):
            drawn = curves(target, p)["calibration"]
            axes.plot(drawn["predicted"], drawn["observed"], marker="o", label=name)
            end = max(end, *drawn["predicted"], *drawn["observed"])
            error[name] = float(np.mean((p - target) ** 2))
        axes.plot([0, end], [0, end], color="#777f87", linestyle="--", linewidth=1)
        axes.set(xlim=(-0.02 * end, 1.05 * end), ylim=(-0.02 * end, 1.05 * end))
        axes.legend(loc="upper left")
    listed = ", ".join(f"{decimal(value, 4)} {name}" for name, value in error.items())
    return Chart(
        "Calibration on out-of-fold predictions",
        f"Observed share of positives before and after calibration. Brier score: {listed}.",
        figure,
        f"On the dashed line, predictions mean what they say. Brier score: {listed}; each fold is"
        " calibrated by a map of the other folds.",
    )


def cost_chart(
    samples: Mapping[str, tuple[np.ndarray, np.ndarray]],
    threshold: float,
    cost: Mapping[str, float],
) -> Chart:
    """Expected cost of a row over thresholds, the chosen one marked.

    Args:
        samples: target and the winner's probabilities, by name; the last is the test split.
    """
    with mpl.rc_context(STYLE):
        figure, axes = _axes("Threshold", "Expected cost of a row")
        highest, farthest = 0.0, threshold
        for name, (target, probability) in samples.items():
            drawn = cost_curve(target, probability, cost)
            axes.plot(drawn["threshold"], drawn["cost"], label=name)
            highest = max(highest, *drawn["cost"])
            farthest = max(farthest, drawn["threshold"][-1])
        ways = fixed_costs(list(samples.values())[-1][0], cost)
        cheapest = min(ways, key=lambda name: ways[name])
        axes.axhline(ways[cheapest], color="#777f87", linestyle="--", linewidth=1, label=cheapest)
        _mark(axes, threshold)
        axes.set(xlim=(0, farthest), ylim=(0, 1.05 * highest))
        axes.legend()
    return Chart(
        "Expected cost against threshold",
        f"Expected cost of a row over thresholds; the chosen one is {threshold:.4g}.",
        figure,
        f"A false negative costs {cost['false_negative']:g}, a false positive"
        f" {cost['false_positive']:g}. Dashed: {cheapest}, without a model.",
    )
