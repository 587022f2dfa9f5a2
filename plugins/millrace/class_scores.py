"""How good a classifier of several classes is: scores, intervals, confusion, one class at a time.

Pure. The answer is the class with the highest probability, of equal ones the first. As in
`evaluate`, every metric is written once, for weighted rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from millrace.metrics import CLASS_METRICS

Floats = NDArray[np.float64]

TOP = 3
WEIGHTS_AT_ONCE = 1_000_000


def score(target: ArrayLike, probability: ArrayLike) -> dict[str, float]:
    """All `CLASS_METRICS` of one candidate, defined as scikit-learn defines them.

    A tie counts against the top three. Macro F1 is the mean over the classes that stand there or
    are named. Log loss clips probabilities to [eps, 1 - eps] of a 64-bit float.

    Args:
        target: class numbers, shape (rows,).
        probability: shape (rows, classes).

    Raises:
        ValueError: unusable input.
    """
    y, p = _checked(target, probability)
    return dict(
        zip(CLASS_METRICS, _metrics(y, p, np.ones((1, len(y))))[:, 0].tolist(), strict=True)
    )


def bootstrap_intervals(
    target: ArrayLike, probability: ArrayLike, groups: Sequence[Any] | None = None,
    *, resamples: int = 1000, seed: int = 0, level: float = 0.95,
) -> dict[str, tuple[float, float]]:  # fmt: skip
    """Percentile bootstrap interval of every metric over the test rows.

    Args:
        groups: rows of one group are drawn together: views of one object are much alike, and drawn
            one by one they would make the intervals too narrow.
    """
    y, p = _checked(target, probability)
    names = range(len(y)) if groups is None else groups
    _, member = np.unique(np.array([str(name) for name in names]), return_inverse=True)
    count = int(member.max()) + 1
    rng = np.random.default_rng(seed)
    table, missing = [], resamples
    while missing:
        size = min(missing, max(1, WEIGHTS_AT_ONCE // len(y)))
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=size)
        table.append(_metrics(y, p, drawn[:, member].astype("float64")))
        missing -= size
    tail = (1 - level) / 2
    low, high = np.quantile(np.hstack(table), [tail, 1 - tail], axis=1).tolist()
    return dict(zip(CLASS_METRICS, zip(low, high, strict=True), strict=True))


def confusion(target: ArrayLike, probability: ArrayLike) -> NDArray[np.int64]:
    """Counts of shape (classes, classes), actual by named."""
    y, p = _checked(target, probability)
    classes = p.shape[1]
    cells = np.bincount(y * classes + p.argmax(axis=1), minlength=classes * classes)
    return cells.reshape(classes, classes)


def by_class(matrix: NDArray[np.int64], names: Sequence[str]) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each class, and what it is most often taken for."""
    found = []
    for place, name in enumerate(names):
        right, actual, named = matrix[place, place], matrix[place].sum(), matrix[:, place].sum()
        others = matrix[place].copy()
        others[place] = 0
        taken = int(others.argmax())
        found.append(
            {
                "class": name,
                "rows": int(actual),
                "precision": float(right / named) if named else None,
                "recall": float(right / actual) if actual else None,
                "f1": float(2 * right / (actual + named)) if actual + named else None,
                "taken_for": names[taken] if others[taken] else None,
                "taken_for_rows": int(others[taken]),
            }
        )
    return found


def _metrics(y: NDArray[np.int64], p: Floats, weights: Floats) -> Floats:
    """`CLASS_METRICS` under each row of weights: (resamples, rows) -> (metrics, resamples)."""
    classes, own = p.shape[1], p[np.arange(len(y)), y]
    said = p.argmax(axis=1)
    eps = np.finfo(np.float64).eps
    terms = np.column_stack(
        [said == y, (p >= own[:, None]).sum(axis=1) <= TOP, -np.log(np.clip(own, eps, 1 - eps))]
    ).astype("float64")
    total = weights.sum(axis=1)
    right, top, loss = (weights @ terms).T / total
    every = np.arange(classes)
    is_actual, is_named = (y[:, None] == every), (said[:, None] == every)
    hits = weights @ (is_actual & is_named).astype("float64")
    both = weights @ (is_actual.astype("float64") + is_named)
    f1 = np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 0)
    return np.stack([right, top, f1.sum(axis=1) / (both > 0).sum(axis=1), loss])


def _checked(target: ArrayLike, probability: ArrayLike) -> tuple[NDArray[np.int64], Floats]:
    y, p = np.asarray(target), np.asarray(probability, dtype="float64")
    if y.ndim != 1 or p.ndim != 2 or len(y) != len(p) or not len(y) or p.shape[1] < 2:
        raise ValueError(
            f"target and probability need the shapes (rows,) and (rows, classes), got {y.shape}"
            f" and {p.shape}"
        )
    if not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() >= p.shape[1]:
        raise ValueError(f"target must hold class numbers from 0 to {p.shape[1] - 1}")
    if not ((p >= 0) & (p <= 1)).all() or np.abs(p.sum(axis=1) - 1).max() > 1e-6:
        raise ValueError("the probabilities of a row must be from 0 to 1 and add up to 1")
    return y.astype("int64"), p
