"""The charts of an evaluation: curves of all candidates, calibration, predictions, threshold."""

from dataclasses import replace
from typing import Any

import numpy as np

from millrace.pages.charts import Axis, Bar, Chart, Dot, Line, round_up, stepped
from millrace.pages.render import decimal, number, percent

Curves = dict[str, Any]


def roc_chart(curves: dict[str, Curves], auc: dict[str, float | None]) -> Chart:
    """ROC curves; `curves` by candidate in the order of the legend, the winner first."""
    chart = Chart(
        title="ROC curve",
        alt="True positive rate against false positive rate. "
        + _listed("Area under the curve", {name: auc[name] for name in curves}),
        x=Axis("False positive rate"),
        y=Axis("True positive rate"),
    )
    pairs = {name: (c["roc"]["fpr"], c["roc"]["tpr"]) for name, c in curves.items()}
    notes = {name: f"AUC {decimal(auc[name], 3)}" for name in curves}
    return replace(chart, guide=chart.points([0, 1], [0, 1]), lines=_lines(chart, pairs, notes))


def precision_recall_chart(curves: dict[str, Curves], positive_rate: float) -> Chart:
    """Precision-recall curves with the share of positives, which is what guessing reaches."""
    average = {n: c["precision_recall"]["average_precision"] for n, c in curves.items()}
    chart = Chart(
        title="Precision and recall",
        alt="Precision against recall. " + _listed("Average precision", average),
        x=Axis("Recall"),
        y=Axis("Precision"),
        note=f"Dashed: guessing, {percent(positive_rate)} positive.",
    )
    pairs = {
        name: _from_zero(c["precision_recall"]["recall"], c["precision_recall"]["precision"])
        for name, c in curves.items()
    }
    notes = {name: f"AP {decimal(value, 3)}" for name, value in average.items()}
    guide = chart.points([0, 1], [positive_rate, positive_rate])
    return replace(chart, guide=guide, lines=_lines(chart, pairs, notes))


def calibration_chart(calibration: Curves) -> Chart:
    """Observed share of positives against predicted probability, with 95 % Wilson intervals."""
    predicted, observed = np.array(calibration["predicted"]), np.array(calibration["observed"])
    count = np.array(calibration["count"])
    low, high = _wilson(observed, count)
    end = min(1.0, round_up(max(predicted.max(), observed.max(), 0.01) * 1.05))
    chart = Chart(
        title="Calibration of the winner",
        alt="Observed share of positives against mean predicted probability: "
        + "; ".join(
            f"{p:.3f} predicted, {o:.3f} observed" for p, o in zip(predicted, observed, strict=True)
        ),
        x=Axis("Mean predicted probability", high=end),
        y=Axis("Observed share of positives", high=end),
        note="On the dashed line, predictions mean what they say. Bars: 95 % interval (Wilson).",
    )
    dots = [
        Dot(
            *(chart.x_at(p), chart.y_at(o), chart.y_at(b), chart.y_at(a)),
            f"{number(n)} rows: {percent(p)} predicted, {percent(o)} observed",
        )
        for p, o, a, b, n in zip(predicted, observed, low, high, count.tolist(), strict=True)
    ]
    line = Line("observed", chart.points(predicted.tolist(), observed.tolist()), "s0")
    return replace(chart, guide=chart.points([0, end], [0, end]), lines=[line], dots=dots)


def predictions_chart(target: np.ndarray, probability: np.ndarray, threshold: float) -> Chart:
    """Histograms of the predictions, positives upwards and negatives downwards, each 100 %."""
    end = round_up(max(float(probability.max()), threshold, 1e-6))
    edges = np.linspace(0, min(1.0, end), 31)
    shares = {
        sign: np.histogram(probability[target == value], edges)[0] / max(1, (target == value).sum())
        for sign, value in ((1, 1), (-1, 0))
    }
    top = round_up(max(share.max() for share in shares.values()))
    chart = Chart(
        title="Predictions of the winner by class",
        alt="Histograms of predicted probability: positives upwards, negatives downwards.",
        x=Axis("Predicted probability", high=float(edges[-1])),
        y=Axis("Share of the class", low=-top, high=top, percent=True, steps=8),
        note="Up: rows that are positive. Down: rows that are negative. Each adds up to 100 %.",
    )
    bars = [
        _bar(chart, sign, edges[i], edges[i + 1], float(share))
        for sign, side in shares.items()
        for i, share in enumerate(side)
        if share > 0
    ]
    return replace(chart, bars=bars, mark=_threshold_mark(chart, threshold))


def threshold_chart(thresholds: Curves, threshold: float) -> Chart:
    """Precision, recall and F1 of the winner over all thresholds, the chosen one marked."""
    end = round_up(max(max(thresholds["threshold"]), threshold, 1e-6))
    chart = Chart(
        title="Score against threshold",
        alt=f"Precision, recall and F1 over thresholds; the chosen one is {threshold:.4g}.",
        x=Axis("Threshold", high=min(1.0, end)),
        y=Axis("Score"),
    )
    lines = [
        Line(name, chart.points(*stepped(thresholds["threshold"], thresholds[key])), style)
        for name, key, style in (
            ("Precision", "precision", "s1"),
            ("Recall", "recall", "s2"),
            ("F1", "f1", "s0"),
        )
    ]
    return replace(chart, lines=lines, mark=_threshold_mark(chart, threshold))


def _lines(chart: Chart, pairs: dict[str, tuple], notes: dict[str, str]) -> list[Line]:
    return [
        Line(name, chart.points(*pair), f"s{index % 10}", notes[name])
        for index, (name, pair) in enumerate(pairs.items())
    ]


def _from_zero(x: list[float], y: list[float]) -> tuple[list[float], list[float]]:
    """A staircase that starts at x = 0, as average precision adds it up."""
    return stepped([0.0, *x], [y[0], *y])


def _bar(chart: Chart, sign: int, left: float, right: float, share: float) -> Bar:
    x, zero, tip = chart.x_at(left), chart.y_at(0), chart.y_at(sign * share)
    return Bar(
        x=x,
        y=min(zero, tip),
        width=round(max(1.0, chart.x_at(right) - x - 1), 1),
        height=round(abs(zero - tip), 1),
        style="up" if sign > 0 else "down",
        text=f"{left:.3g} to {right:.3g}: {percent(share)} of the "
        + ("positives" if sign > 0 else "negatives"),
    )


def _threshold_mark(chart: Chart, threshold: float) -> tuple[float, str]:
    return chart.x_at(threshold), f"threshold {threshold:.4g}"


def _listed(what: str, values: dict[str, float | None]) -> str:
    return f"{what}: " + ", ".join(f"{name} {decimal(v, 3)}" for name, v in values.items()) + "."


def _wilson(share: np.ndarray, count: np.ndarray, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % score interval of a share (Wilson 1927)."""
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return middle - half, middle + half
