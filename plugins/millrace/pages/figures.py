"""The charts of an evaluation: curves of all candidates, calibration, predictions, threshold.

Drawn by matplotlib without its global state; the page shows them as SVG, MLflow as PNG.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.figure import Figure

from millrace.evaluate import curves
from millrace.pages.render import decimal, percent

Curves = dict[str, Any]

# Okabe and Ito's palette, told apart by people with any kind of colour vision.
COLOURS = ("#0072b2", "#d55e00", "#00835f", "#b04d86", "#8a6d00", "#3d9bd1", "#6b4fb3", "#777f87")
STYLE: Any = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "sans-serif",
    "font.size": 9,
    "grid.color": "#dde3e9",
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "millrace",  # equal figures, equal bytes
}

NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@dataclass(frozen=True)
class Chart:
    """One figure with its title and what it says in words."""

    title: str
    alt: str
    figure: Figure
    note: str = ""

    def svg(self) -> str:
        """The figure as an SVG element, to stand inside a page."""
        target = io.StringIO()
        with mpl.rc_context(STYLE):
            self.figure.savefig(target, format="svg", metadata=NO_METADATA)
        return target.getvalue()[target.getvalue().index("<svg") :]

    def png(self) -> bytes:
        """The figure with its title as a PNG image."""
        target = io.BytesIO()
        with mpl.rc_context(STYLE):
            self.figure.suptitle(self.title)
            self.figure.savefig(target, format="png", dpi=120)
            self.figure.suptitle("")
        return target.getvalue()


def evaluation_charts(
    target: np.ndarray, probability: dict[str, np.ndarray], threshold: float
) -> dict[str, Chart]:
    """All charts of an evaluation.

    Args:
        target: 0/1 of shape (rows,).
        probability: of shape (rows,) by candidate, the winner first.
        threshold: the winner's.
    """
    drawn = {name: curves(target, values) for name, values in probability.items()}
    winner = next(iter(drawn.values()))
    predicted = next(iter(probability.values()))
    with mpl.rc_context(STYLE):
        return {
            "roc": roc_chart(drawn),
            "precision_recall": precision_recall_chart(drawn, float(target.mean())),
            "calibration": calibration_chart(winner["calibration"]),
            "predictions": predictions_chart(target, predicted, threshold),
            "threshold": threshold_chart(winner["thresholds"], threshold),
        }


def roc_chart(drawn: dict[str, Curves]) -> Chart:
    """ROC curves of all candidates."""
    figure, axes = _axes("False positive rate", "True positive rate")
    areas = {}
    for name, found in drawn.items():
        roc = found["roc"]
        areas[name] = float(np.trapezoid(roc["tpr"], roc["fpr"]))
        axes.plot(roc["fpr"], roc["tpr"], label=f"{name}, AUC {decimal(areas[name], 3)}")
    axes.plot([0, 1], [0, 1], color="#777f87", linestyle="--", linewidth=1)
    axes.legend(loc="lower right")
    alt = "True positive rate against false positive rate. " + _listed("Area", areas)
    return Chart("ROC curve", alt, figure)


def precision_recall_chart(drawn: dict[str, Curves], positive_rate: float) -> Chart:
    """Precision-recall curves with the share of positives, which is what guessing reaches."""
    figure, axes = _axes("Recall", "Precision")
    average = {
        name: found["precision_recall"]["average_precision"] for name, found in drawn.items()
    }
    for name, found in drawn.items():
        pair = found["precision_recall"]
        recall, precision = [0.0, *pair["recall"]], [pair["precision"][0], *pair["precision"]]
        axes.step(recall, precision, label=f"{name}, AP {decimal(average[name], 3)}")
    axes.axhline(positive_rate, color="#777f87", linestyle="--", linewidth=1)
    axes.legend(loc="lower left")
    alt = "Precision against recall. " + _listed("Average precision", average)
    note = f"Dashed: guessing, {percent(positive_rate)} positive."
    return Chart("Precision and recall", alt, figure, note)


def calibration_chart(calibration: Curves) -> Chart:
    """Observed share of positives against predicted probability, with 95 % Wilson intervals."""
    figure, axes = _axes("Mean predicted probability", "Observed share of positives")
    predicted, observed = np.array(calibration["predicted"]), np.array(calibration["observed"])
    low, high = _wilson(observed, np.array(calibration["count"]))
    spread = np.clip([observed - low, high - observed], 0, None)
    axes.errorbar(predicted, observed, yerr=spread, marker="o", linewidth=1.5)
    end = min(1.0, 1.1 * max(predicted.max(), observed.max(), 0.01))
    axes.plot([0, end], [0, end], color="#777f87", linestyle="--", linewidth=1)
    axes.set(xlim=(-0.02 * end, end), ylim=(-0.02 * end, end))
    pairs = zip(predicted, observed, strict=True)
    alt = "Observed share of positives: " + "; ".join(
        f"{o:.3f} where {p:.3f} is predicted" for p, o in pairs
    )
    note = "On the dashed line, predictions mean what they say. Bars: 95 % interval (Wilson)."
    return Chart("Calibration of the winner", alt, figure, note)


def predictions_chart(target: np.ndarray, probability: np.ndarray, threshold: float) -> Chart:
    """Histograms of the winner's predictions, a class each, each 100 % in all."""
    figure, axes = _axes("Predicted probability", "Share of the class")
    edges = np.linspace(0, max(float(probability.max()), threshold, 1e-6), 31)
    for value, name in ((1, "positive rows"), (0, "negative rows")):
        rows = probability[target == value]
        axes.hist(
            rows, edges.tolist(), weights=np.full(len(rows), 1 / len(rows)), alpha=0.6, label=name
        )
    _mark(axes, threshold)
    axes.set_ylim(0, 1.05 * max(patch.get_height() for patch in axes.patches))
    axes.legend()
    alt = "Histograms of the predicted probability of positive and of negative rows."
    return Chart("Predictions of the winner by class", alt, figure)


def threshold_chart(thresholds: Curves, threshold: float) -> Chart:
    """Precision, recall and F1 of the winner over all thresholds, the chosen one marked."""
    figure, axes = _axes("Threshold", "Score")
    for key, name in (("f1", "F1"), ("precision", "Precision"), ("recall", "Recall")):
        axes.step(thresholds["threshold"], thresholds[key], where="post", label=name)
    _mark(axes, threshold)
    axes.legend(loc="lower left")
    alt = f"Precision, recall and F1 over thresholds; the chosen one is {threshold:.4g}."
    return Chart("Score against threshold", alt, figure)


def _axes(x: str, y: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(5.2, 3.7), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    axes.patch.set_alpha(0)
    return figure, axes


def _mark(axes: Any, threshold: float) -> None:
    axes.axvline(threshold, color="#17212b", linestyle=":", label=f"threshold {threshold:.4g}")
    axes.set_xlim(0, None)


def _listed(what: str, values: dict[str, float]) -> str:
    listed = ", ".join(f"{name} {decimal(value, 3)}" for name, value in values.items())
    return f"{what}: {listed}."


def _wilson(share: np.ndarray, count: np.ndarray, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % score interval of a share (Wilson 1927)."""
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return middle - half, middle + half
