"""The evaluation of all candidates of a data set as one page."""

from collections.abc import Sequence
from typing import Any

from millrace.evaluate import compare
from millrace.metrics import EVERY_METRIC, EXPECTED_COST, METRICS, better
from millrace.pages.figures import Chart
from millrace.pages.render import render

Candidate = dict[str, Any]

FEATURES_SHOWN = 15
OPTIONAL: Candidate = {
    "hyperparameters": {},
    "threshold_rule": "",
    "intervals": {},
    "cross_validation": {},
    "importance": [],
    "seconds": None,
    "cost_usd": None,
    "uncalibrated": {},
    "rounds": None,
    "rounds_of_folds": [],
}


def evaluation_page(summary: dict[str, Any], charts: dict[str, Chart]) -> str:
    """The page of one evaluation on the test split.

    `summary` names the data set, its partition, the primary `metric`, the `winner`, the
    `candidates` with metrics, intervals and confusion counts, and perhaps `gates`; `charts` are
    the `evaluation_charts` of the same rows. Raises ValueError where the winner is not there.
    """
    return render(
        "evaluation.html.j2",
        **page_values(summary, _judged(summary)),
        charts=charts,
        confusion=_confusion(_winner(summary, summary["candidates"])["confusion"]),
    )


def _judged(summary: dict[str, Any]) -> Sequence[str]:
    """The metrics of two classes, and the cost where the spec names one."""
    told = _winner(summary, summary["candidates"])["metrics"]
    return [*METRICS, *([EXPECTED_COST] if EXPECTED_COST in told else [])]


def page_values(summary: dict[str, Any], metrics: Sequence[str]) -> dict[str, Any]:
    """What the pages of all evaluations show: the candidates ranked, the winner, the gates.

    Args:
        metrics: those that the candidates were judged by.
    """
    ranked = compare([OPTIONAL | c for c in summary["candidates"]], summary["metric"])
    winner = _winner(summary, ranked)
    gates = summary.get("gates") or []
    return {
        "summary": summary,
        "metrics": [summary["metric"], *(m for m in metrics if m != summary["metric"])],
        "candidates": ranked,
        "paid": any(c["cost_usd"] is not None for c in ranked),
        "best": _best(ranked),
        "whiskers": _whiskers(ranked, summary["metric"]),
        "winner": winner,
        "ahead": [c["candidate"] for c in ranked[: ranked.index(winner)]],
        "gates": [gate | _bound(gate) for gate in gates],
        "failed": sum(not gate["holds"] for gate in gates),
        "importance": _importance(winner["importance"]),
    }


def _winner(summary: dict[str, Any], ranked: list[Candidate]) -> Candidate:
    for candidate in ranked:
        if candidate["candidate"] == summary["winner"]:
            return candidate
    names = ", ".join(c["candidate"] for c in ranked)
    raise ValueError(f"the winner {summary['winner']!r} is not a candidate: it must be of {names}")


def _best(candidates: list[Candidate]) -> dict[str, float]:
    """Per metric the best value of any candidate."""
    best: dict[str, float] = {}
    for candidate in candidates:
        for metric, value in candidate["metrics"].items():
            if metric in EVERY_METRIC and (
                metric not in best or better(metric, value, best[metric])
            ):
                best[metric] = value
    return best


def _whiskers(candidates: list[Candidate], metric: str) -> dict[str, dict[str, float]]:
    """Per candidate its value and interval of the metric as per cent of one common scale."""
    spans = {}
    for candidate in candidates:
        value = candidate["metrics"][metric]
        low, high = candidate["intervals"].get(metric) or (value, value)
        spans[candidate["candidate"]] = {"low": low, "value": value, "high": high}
    start = min(min(span.values()) for span in spans.values())
    width = max(max(span.values()) for span in spans.values()) - start
    if not width:
        return {name: dict.fromkeys(span, 50.0) for name, span in spans.items()}
    return {
        name: {key: round(4 + 92 * (at - start) / width, 1) for key, at in span.items()}
        for name, span in spans.items()
    }


def _bound(gate: dict[str, Any]) -> dict[str, Any]:
    if gate.get("minimum") is not None:
        return {"sign": "≥", "bound": gate["minimum"]}
    if gate.get("maximum") is not None:
        return {"sign": "≤", "bound": gate["maximum"]}
    return {"sign": "", "bound": None}


def _confusion(cells: dict[str, int]) -> list[dict[str, Any]]:
    """The two rows of the confusion matrix with shares of the row, which are the class's rates."""
    rows = []
    for actual, left, right in (("negative", "tn", "fp"), ("positive", "fn", "tp")):
        total = cells[left] + cells[right]
        rows.append(
            {
                "actual": actual,
                "total": total,
                "cells": [
                    {
                        "count": cells[key],
                        "share": cells[key] / total if total else 0.0,
                        "right": key in ("tn", "tp"),
                    }
                    for key in (left, right)
                ],
            }
        )
    return rows


def _importance(pairs: list[list[Any]]) -> dict[str, Any]:
    ranked = sorted(pairs, key=lambda pair: -pair[1])
    top = max((share for _, share in ranked), default=0) or 1.0
    return {
        "rows": [
            {"feature": name, "share": share, "width": round(100 * max(0.0, share / top), 1)}
            for name, share in ranked[:FEATURES_SHOWN]
        ],
        "more": max(0, len(ranked) - FEATURES_SHOWN),
    }
