"""The metrics of classifiers, and which way each one is better. Light: imports nothing."""

METRICS = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier_score")
"""Of two classes."""
EXPECTED_COST = "expected_cost"
"""Of two classes, where the spec says what a wrong decision costs: the mean cost of a row."""
CLASS_METRICS = ("accuracy", "top_3_accuracy", "macro_f1", "log_loss")
"""Of any number of classes."""
EVERY_METRIC = tuple(dict.fromkeys((*METRICS, *CLASS_METRICS, EXPECTED_COST)))
LOWER_IS_BETTER = frozenset({"log_loss", "brier_score", EXPECTED_COST})


def better(metric: str, a: float, b: float) -> bool:
    """Whether value `a` of `metric` beats value `b`; NaN beats nothing and is beaten by nothing."""
    _known(metric)
    return a < b if metric in LOWER_IS_BETTER else a > b


def at_least_as_good(metric: str, a: float, b: float) -> bool:
    """Whether value `a` of `metric` equals or beats value `b`; false where either is NaN."""
    _known(metric)
    return a <= b if metric in LOWER_IS_BETTER else a >= b


def _known(metric: str) -> None:
    if metric not in EVERY_METRIC:
        raise ValueError(f"unknown metric {metric!r}: use one of {', '.join(EVERY_METRIC)}")
