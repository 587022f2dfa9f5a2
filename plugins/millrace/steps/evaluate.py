"""Step: judge every candidate on the test rows, and publish the report."""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np
import pandas as pd

from millrace.evaluate import bootstrap_intervals, confusion, score
from millrace.lake import Attempt, Published, publish
from millrace.pages.decision_figures import cost_chart, reliability_chart
from millrace.pages.evaluation import evaluation_page
from millrace.pages.figures import Chart, evaluation_charts
from millrace.promotion import check_gates
from millrace.steps.candidates import candidate_facts, cost_of, winner_of
from millrace.steps.evaluate_classes import build_class_evaluation
from millrace.steps.predictions import labels_of, probabilities
from millrace.steps.run import Run, content_of
from millrace.training import OUTPUT, out_of_fold

log = logging.getLogger(__name__)


def evaluate(run: Run) -> dict[str, Any]:
    """Score every candidate on the test rows, name the winner, publish summary and report.

    The winner has the best out-of-fold score on the train split; the test rows judge it and have
    no say in the choice.
    """
    processed = run.processed()
    models = {name: run.published("models", name, "train") for name in run.candidates}
    predictions = {name: run.published("predictions", name, "transform") for name in run.candidates}
    inputs = [processed, *models.values(), *predictions.values()]
    build = build_class_evaluation if "classes" in processed.facts else _build_evaluation
    published = publish(
        run.store, run.place("reports", "evaluation"),
        depends_on={
            "labels": content_of(processed, "test/labels.csv"),
            "models": {name: model.manifest.content for name, model in models.items()},
            "predictions": {name: item.manifest.content for name, item in predictions.items()},
            "spec": run.spec.fingerprint(
                "name", "description", "metric", "gates", *(["decision"] if _costs(run) else [])
            ),
        },
        inputs={item.uri: item.manifest.content for item in inputs},
        build=lambda attempt: build(run, processed, models, predictions, attempt),
        again=run.again,
    )  # fmt: skip
    return published.facts


def _build_evaluation(
    run: Run,
    processed: Published,
    models: dict[str, Published],
    predictions: dict[str, Published],
    attempt: Attempt,
) -> None:
    started = time.monotonic()
    target = labels_of(run, processed)
    probability = {
        name: probabilities(item.path("predictions.csv"), target)
        for name, item in predictions.items()
    }
    candidates = [
        _score(name, models[name], target, probability[name], _costs(run))
        | {"cost_usd": cost_of(models[name], predictions[name])}
        for name in run.candidates
    ]
    winner = winner_of(candidates, run.spec.metric)
    summary = {
        "dataset": run.spec.name, "description": run.spec.description, "partition": run.partition,
        "engine": run.engine, "metric": run.spec.metric, "winner": winner["candidate"],
        "rows": processed.facts["rows"], "positive_rate": processed.facts["positive_rate"],
        "candidates": candidates, "gates": check_gates(run.spec.gates, winner["metrics"]),
        "data_fingerprint": processed.manifest.content, "code_fingerprint": processed.manifest.code,
        "git_commit": processed.manifest.git_commit, "created": processed.manifest.created,
    }  # fmt: skip
    attempt.write_json("summary.json", summary)
    probability = {winner["candidate"]: probability[winner["candidate"]], **probability}
    charts = evaluation_charts(target.to_numpy(), probability, winner["threshold"])
    charts |= _decision_charts(
        models[winner["candidate"]],
        target.to_numpy(),
        probability[winner["candidate"]],
        winner["threshold"],
        _costs(run),
    )
    attempt.write("report.html", evaluation_page(summary, charts))
    (attempt.folder / "plots").mkdir()
    for name, chart in charts.items():
        (attempt.folder / "plots" / f"{name}.png").write_bytes(chart.png())
    attempt.facts |= {
        "winner": winner["candidate"],
        "metrics": winner["metrics"],
        "gates": summary["gates"],
    }
    for item in candidates:
        scores = ", ".join(f"{metric} {value:.4f}" for metric, value in item["metrics"].items())
        log.info("%s%s: %s", item["candidate"], " (winner)" if item is winner else "", scores)
    log.info("Judged %d candidates on %s test rows in %.1f s.",
             len(candidates), f"{len(target):,}", time.monotonic() - started)  # fmt: skip


def _costs(run: Run) -> dict[str, float] | None:
    return run.spec.decision.costs() if run.spec.decision else None


def _decision_charts(
    model: Published,
    target: np.ndarray,
    probability: np.ndarray,
    threshold: float,
    cost: dict[str, float] | None,
) -> dict[str, Chart]:
    """Charts of the winner's calibration and cost, where the spec asked for them."""
    found = out_of_fold(model.path(OUTPUT))
    charts, samples = {}, {"test": (target, probability)}
    if found is not None:
        y, p = found["target"].to_numpy(), found["probability"].to_numpy()
        samples = {"out of fold": (y, p), **samples}
        if "uncalibrated" in found:
            charts["reliability"] = reliability_chart(y, found["uncalibrated"].to_numpy(), p)
    if cost:
        charts["cost"] = cost_chart(samples, threshold, cost)
    return charts


def _score(
    name: str,
    model: Published,
    target: pd.Series,
    probability: np.ndarray,
    cost: dict[str, float] | None,
) -> dict[str, Any]:
    facts = candidate_facts(name, model)
    threshold = facts["threshold"]
    return {
        **facts,
        "metrics": score(target, probability, threshold, cost),
        "intervals": bootstrap_intervals(target, probability, threshold, cost),
        "confusion": confusion(target, probability, threshold),
    }
