"""The template environment and the formats in which pages write values."""

import math
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

NOTHING = "–"
LABELS = {
    "accuracy": "Accuracy",
    "top_3_accuracy": "Top 3 accuracy",
    "macro_f1": "Macro F1",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "roc_auc": "ROC AUC",
    "log_loss": "Log loss",
    "brier_score": "Brier score",
    "expected_cost": "Expected cost",
}


def render(template: str, **values: Any) -> str:
    """The page that `template` (a file of this folder) makes of `values`, everything escaped."""
    return _environment().get_template(template).render(**values)


def label(metric: str) -> str:
    """The name of a metric as people write it."""
    return LABELS.get(metric, metric)


def decimal(value: float | None, places: int = 4) -> str:
    """A metric: always the same number of decimals, so that columns line up."""
    return NOTHING if value is None or math.isnan(value) else f"{value:.{places}f}"


def interval(bounds: list[float] | tuple[float, float] | None, joint: str = "–") -> str:
    """An interval with three decimals, or nothing."""
    return f"{bounds[0]:.3f}{joint}{bounds[1]:.3f}" if bounds else ""


def number(value: float | None) -> str:
    """Any number in at most four digits or in full where it is whole: 12,345 or 0.001235."""
    if value is None or math.isnan(value):
        return NOTHING
    if float(value).is_integer() and abs(value) < 1e12:
        return f"{int(value):,}"
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e12 else f"{value:.4g}"


def percent(share: float | None) -> str:
    """A share as per cent; a small one never reads as zero."""
    if share is None or math.isnan(share):
        return NOTHING
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %"


def size(count: int | None) -> str:
    """Bytes in the largest unit that leaves at least one: 1.4 MB."""
    if count is None:
        return NOTHING
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def duration(seconds: float | None) -> str:
    """Seconds as 0.4 s, 12 s or 3 min 20 s."""
    if seconds is None or math.isnan(seconds):
        return NOTHING
    if seconds < 60:
        return f"{seconds:.2g} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def plural(count: int, noun: str) -> str:
    """1 row, 2,000 rows."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (label, decimal, interval, number, percent, size, duration, plural)
    environment.filters |= {function.__name__: function for function in filters}
    return environment
