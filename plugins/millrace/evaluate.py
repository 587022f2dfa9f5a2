"""How good a binary classifier is: scores, bootstrap intervals, curves and a ranking. Pure.

Every metric is written once, for weighted rows: a score is the case of equal weights, and a
bootstrap resample is the case of weights that count how often each row was drawn.
A row is predicted positive where its probability is at or above the threshold.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from millrace.metrics import EVERY_METRIC, EXPECTED_COST, LOWER_IS_BETTER, METRICS

Floats = NDArray[np.float64]

WEIGHTS_AT_ONCE = 1_000_000
"""Bootstrap weights held in memory at once; about 50 MB with everything derived from them."""


def score(
    target: ArrayLike,
    probability: ArrayLike,
    threshold: float,
    cost: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """All `METRICS` of one candidate, defined as scikit-learn defines them; with `cost`, its too.

    `cost` is that of a `false_negative` and of a `false_positive`; a row's mean cost is added.

    `target` holds 0 and 1, `probability` the predicted probability of 1, both of shape (rows,).
    Precision is 0 where nothing is predicted positive. Log loss clips probabilities to
    [eps, 1 - eps] of a 64-bit float. Raises ValueError for unusable input and for a target with
    one class only, where ROC AUC is undefined.
    """
    sample = _sort(target, probability, threshold)
    values = sample.metrics(np.ones((1, sample.rows)), cost)[:, 0].tolist()
    return dict(zip(_names(cost), values, strict=True))


def _names(cost: Mapping[str, float] | None) -> tuple[str, ...]:
    return METRICS if cost is None else (*METRICS, EXPECTED_COST)


def confusion(target: ArrayLike, probability: ArrayLike, threshold: float) -> dict[str, int]:
    """Counts of true and false negatives and positives: tn, fp, fn, tp."""
    positive, p = _checked(target, probability)
    predicted = p >= _checked_share("threshold", threshold)
    cells = np.bincount(2 * positive + predicted, minlength=4)
    return dict(zip(("tn", "fp", "fn", "tp"), cells.tolist(), strict=True))


def bootstrap_intervals(
    target: ArrayLike,
    probability: ArrayLike,
    threshold: float,
    cost: Mapping[str, float] | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap interval of every metric (Efron & Tibshirani 1993, chapter 13).

    Rows are resampled with replacement; a resample that holds one class only is drawn again, so
    the intervals are conditional on both classes being seen. The result depends on the seed, not
    on the order of the rows. The model and its threshold stay fixed: the intervals show the
    chance in the test rows, not the chance in training.
    """
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}: use at least 1 (1000 is usual)")
    tail = (1 - _checked_share("level", level)) / 2
    sample = _sort(target, probability, threshold)
    table = np.hstack(
        [sample.metrics(w, cost) for w in _resampled_weights(sample, resamples, seed)]
    )
    low, high = np.quantile(table, [tail, 1 - tail], axis=1).tolist()
    return dict(zip(_names(cost), zip(low, high, strict=True), strict=True))


def curves(
    target: ArrayLike, probability: ArrayLike, *, bins: int = 10, points: int = 200
) -> dict[str, dict[str, Any]]:
    """The curves of one candidate as plain lists, each of at most `points` points.

    `roc`: fpr, tpr, from (0, 0) to (1, 1). `precision_recall`: recall, precision and the
    average precision. `thresholds`: precision, recall and f1 at falling thresholds.
    `calibration`: mean predicted probability, observed share of positives and count of at most
    `bins` bins of equal size (fewer where probabilities tie; tied rows stay together).
    """
    if points < 2 or bins < 1:
        raise ValueError(f"points is {points} and bins is {bins}: use at least 2 and 1")
    positive, p = _both_classes(*_checked(target, probability))
    order = np.argsort(-p, kind="stable")
    last = np.append(np.flatnonzero(np.diff(p[order])), p.size - 1)
    tp = np.cumsum(positive[order])[last].astype(float)
    fp = last + 1 - tp
    precision, recall = tp / (tp + fp), tp / tp[-1]
    f1 = 2 * tp / (tp + fp + tp[-1])
    roc = _corners(np.append(0, fp / fp[-1]), np.append(0, recall))
    return {
        "roc": _thin(points, fpr=roc[0], tpr=roc[1]),
        "precision_recall": _thin(points, recall=recall, precision=precision)
        | {"average_precision": float(np.diff(recall, prepend=0) @ precision)},
        "thresholds": _thin(
            points, threshold=p[order][last], precision=precision, recall=recall, f1=f1
        ),
        "calibration": _calibration(positive[order], p[order], bins),
    }


def compare(evaluations: list[dict[str, Any]], metric: str) -> list[dict[str, Any]]:
    """The evaluations ranked best first by `evaluation["metrics"][metric]`, ties by name."""
    if metric not in EVERY_METRIC:
        raise ValueError(f"cannot rank by {metric!r}: use one of {', '.join(EVERY_METRIC)}")
    sign = 1 if metric in LOWER_IS_BETTER else -1
    for evaluation in evaluations:
        if not np.isfinite(evaluation["metrics"].get(metric, np.nan)):
            raise ValueError(f"candidate {evaluation['candidate']!r} has no value of {metric}")
    return sorted(evaluations, key=lambda e: (sign * e["metrics"][metric], e["candidate"]))


@dataclass(frozen=True)
class _Sample:
    """Rows sorted once: the negatives by rising probability, then the positives."""

    negatives: int
    terms: Floats
    """(rows, 6): false positive, true positive, positive, log loss, squared error, one."""
    below: NDArray[np.intp]
    """Per positive row: how many negative rows have a lower probability."""
    not_above: NDArray[np.intp]
    """Per positive row: how many negative rows have a lower or the same probability."""

    @property
    def rows(self) -> int:
        return len(self.terms)

    def metrics(self, weights: Floats, cost: Mapping[str, float] | None = None) -> Floats:
        """The metrics under each row of weights: (resamples, rows) -> (metrics, resamples)."""
        fp, tp, positive, loss, square, total = (weights @ self.terms).T
        negative = total - positive
        predicted = tp + fp
        precision = np.divide(tp, predicted, out=np.zeros_like(tp), where=predicted > 0)
        wins = self._wins(weights)
        costs = []
        if cost is not None:
            wrong = cost["false_negative"] * (positive - tp) + cost["false_positive"] * fp
            costs = [wrong / total]
        return np.stack(
            [
                (tp + negative - fp) / total,
                precision,
                tp / positive,
                2 * tp / (predicted + positive),
                wins / (positive * negative),
                loss / total,
                square / total,
                *costs,
            ]
        )

    def _wins(self, weights: Floats) -> Floats:
        """Weighted pairs in which the positive row ranks above the negative one; ties half."""
        passed = np.zeros((len(weights), self.negatives + 1))
        np.cumsum(weights[:, : self.negatives], axis=1, out=passed[:, 1:])
        beaten = passed[:, self.below]
        beaten += passed[:, self.not_above]
        return np.einsum("ij,ij->i", weights[:, self.negatives :], beaten) / 2


def _sort(target: ArrayLike, probability: ArrayLike, threshold: float) -> _Sample:
    positive, p = _both_classes(*_checked(target, probability))
    order = np.lexsort((p, positive))
    positive, p = positive[order], p[order]
    predicted = p >= _checked_share("threshold", threshold)
    eps = np.finfo(np.float64).eps
    loss = -np.log(np.clip(np.where(positive, p, 1 - p), eps, 1 - eps))
    columns = (predicted & ~positive, predicted & positive, positive, loss, (p - positive) ** 2)
    n = int(np.count_nonzero(~positive))
    return _Sample(
        negatives=n,
        terms=np.column_stack([*columns, np.ones(p.size)]).astype(np.float64),
        below=np.searchsorted(p[:n], p[n:], side="left"),
        not_above=np.searchsorted(p[:n], p[n:], side="right"),
    )


def _resampled_weights(sample: _Sample, resamples: int, seed: int) -> Iterator[Floats]:
    rng = np.random.default_rng(seed)
    rows, missing = sample.rows, resamples
    while missing:
        size = min(missing, max(1, WEIGHTS_AT_ONCE // rows))
        drawn = rng.integers(rows, size=(size, rows))
        drawn += np.arange(size)[:, None] * rows
        counts = np.bincount(drawn.ravel(), minlength=size * rows).reshape(size, rows)
        negatives = counts[:, : sample.negatives].sum(axis=1)
        weights = counts[(negatives > 0) & (negatives < rows)].astype(np.float64)
        missing -= len(weights)
        yield weights


def _calibration(positive: NDArray[np.bool_], p: Floats, bins: int) -> dict[str, list[float]]:
    edges = np.unique(np.quantile(p, np.arange(1, bins) / bins))
    chosen = np.searchsorted(edges, p, side="right")
    count = np.bincount(chosen)
    filled = count > 0
    count = count[filled]
    return {
        "predicted": (np.bincount(chosen, p)[filled] / count).tolist(),
        "observed": (np.bincount(chosen, positive)[filled] / count).tolist(),
        "count": count.tolist(),
    }


def _corners(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The points where a curve turns; those on a straight line between two others are left out."""
    dx, dy = np.diff(x), np.diff(y)
    turns = np.abs(dx[1:] * dy[:-1] - dx[:-1] * dy[1:]) > 1e-15
    keep = np.concatenate([[True], turns, [True]])
    return x[keep], y[keep]


def _thin(points: int, **series: Floats) -> dict[str, list[float]]:
    """At most `points` points of a curve, evenly spaced along its length, ends included."""
    table = np.stack(list(series.values()))
    if table.shape[1] > points:
        steps = np.abs(np.diff(table, axis=1)).sum(axis=0)
        length = np.append(0, np.cumsum(steps))
        wanted = np.linspace(0, length[-1], points)
        picked = np.unique(np.searchsorted(length, wanted).clip(max=length.size - 1))
        table = table[:, picked]
    return dict(zip(series, table.tolist(), strict=True))


def _checked(target: ArrayLike, probability: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    y, p = np.asarray(target), np.asarray(probability)
    if y.ndim != 1 or y.shape != p.shape or not y.size:
        raise ValueError(
            f"target and probability need the same one-dimensional, non-empty shape, got {y.shape} "
            f"and {p.shape}: pass one value per row (of two probability columns, the second)"
        )
    if not np.isin(y, (0, 1)).all():
        raise ValueError("target must hold 0 and 1 only: encode the positive class as 1")
    p = p.astype(np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        bad = p[~((p >= 0) & (p <= 1))]
        raise ValueError(
            f"{bad.size} of {p.size} probabilities are missing or outside 0 to 1, the first is "
            f"{bad[0]}: pass probabilities, not margins or labels"
        )
    return y.astype(bool), p


def _both_classes(positive: NDArray[np.bool_], p: Floats) -> tuple[NDArray[np.bool_], Floats]:
    if positive.all() or not positive.any():
        raise ValueError(
            f"all {positive.size} targets are {int(positive[0])}: ROC AUC and the curves need both "
            "classes; use a larger or stratified test split"
        )
    return positive, p


def _checked_share(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}: use a number from 0 to 1")
    return float(value)
