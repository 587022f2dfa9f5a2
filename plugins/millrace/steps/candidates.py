"""What is known of the candidates of an evaluation, and which of them wins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millrace.lake import Published
from millrace.metrics import better
from millrace.training import MODEL, model_facts

ASKED_FOR = ("rounds", "rounds_of_folds", "balance", "calibration", "uncalibrated")


def candidate_facts(name: str, model: Published) -> dict[str, Any]:
    """What the training left of a candidate that reports show."""
    facts = model_facts(model.path(MODEL))
    kept = (
        "algorithm",
        "hyperparameters",
        "threshold",
        "threshold_rule",
        "cross_validation",
        "importance",
    )
    return {
        "candidate": name,
        **{field: facts[field] for field in kept},
        **{field: facts[field] for field in ASKED_FOR if field in facts},
        "seconds": model.facts["seconds"],
    }


def cost_of(*made_by_jobs: Published) -> float | None:
    """What the jobs of a candidate cost in US dollars; None where none has a price."""
    costs = [item.facts["cost_usd"] for item in made_by_jobs if "cost_usd" in item.facts]
    return sum(costs) if costs else None


def winner_of(candidates: Sequence[dict[str, Any]], metric: str) -> dict[str, Any]:
    """The candidate with the best out-of-fold score; the test rows have no say in it."""
    best = candidates[0]
    for item in candidates[1:]:
        # Without cross-validation (too few rows) the test rows have to decide.
        folds = "cross_validation" if metric in item["cross_validation"] else "metrics"
        if better(metric, item[folds][metric], best[folds][metric]):
            best = item
    return best
