"""Judging candidates of several classes: scores, confusion picture, and sample predictions."""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np
import pandas as pd

from millrace.class_scores import bootstrap_intervals, by_class, confusion, score
from millrace.lake import Attempt, Published
from millrace.pages.class_figures import confusion_chart
from millrace.pages.classes import class_evaluation_page
from millrace.promotion import check_gates
from millrace.steps.candidates import candidate_facts, cost_of, winner_of
from millrace.steps.predictions import labels_of, probabilities
from millrace.steps.run import Run
from millrace.steps.thumbnails import thumbnails
from millrace.views import view_of

log = logging.getLogger(__name__)

SAMPLES = 12  # right predictions shown, and wrong ones
NAMED = 3  # answers shown of each


def build_class_evaluation(
    run: Run,
    processed: Published,
    models: dict[str, Published],
    predictions: dict[str, Published],
    attempt: Attempt,
) -> None:
    """Score every candidate on the test rows; write summary, report and plots."""
    started = time.monotonic()
    target, classes = labels_of(run, processed), processed.facts["classes"]
    probability = {
        name: probabilities(item.path("predictions.csv"), target)
        for name, item in predictions.items()
    }
    series = _series(run, target)
    candidates = [
        candidate_facts(name, models[name])
        | {
            "metrics": score(target, probability[name]),
            "intervals": bootstrap_intervals(target, probability[name], series),
            "confusion": confusion(target, probability[name]).tolist(),
            "cost_usd": cost_of(models[name], predictions[name]),
        }
        for name in run.candidates
    ]
    winner = winner_of(candidates, run.spec.metric)
    matrix = np.array(winner["confusion"])
    job = processed.facts["job"]
    summary = {
        "dataset": run.spec.name, "description": run.spec.description, "partition": run.partition,
        "engine": run.engine, "metric": run.spec.metric, "winner": winner["candidate"],
        "rows": processed.facts["rows"], "classes": classes, "series": len(set(series)),
        "candidates": candidates, "by_class": by_class(matrix, classes),
        "gates": check_gates(run.spec.gates, winner["metrics"]),
        "job": job, "parameters": _parameters(job), "figures": _figures(job),
        "data_fingerprint": processed.manifest.content, "code_fingerprint": processed.manifest.code,
        "git_commit": processed.manifest.git_commit, "created": processed.manifest.created,
    }  # fmt: skip
    attempt.write_json("summary.json", summary)
    charts = {"confusion": confusion_chart(matrix, classes)}
    pictures = {name: processed.path(f"plots/{name}.png").read_bytes() for name in ("map", "scree")}
    samples = _samples(run, target, probability[winner["candidate"]], classes)
    attempt.write("report.html", class_evaluation_page(summary, charts, samples, pictures))
    (attempt.folder / "plots").mkdir()
    for name, chart in charts.items():
        (attempt.folder / "plots" / f"{name}.png").write_bytes(chart.png())
    attempt.facts |= {
        "winner": winner["candidate"], "metrics": winner["metrics"], "gates": summary["gates"],
        "network": job["network"],
    }  # fmt: skip
    for item in candidates:
        scores = ", ".join(f"{metric} {value:.4f}" for metric, value in item["metrics"].items())
        log.info("%s%s: %s", item["candidate"], " (winner)" if item is winner else "", scores)
    log.info("Judged %d candidates on %s test images of %d labels in %.1f s; network %s, weights"
             " %s.", len(candidates), f"{len(target):,}", len(classes), time.monotonic() - started,
             job["network"]["name"], job["network"]["weights"])  # fmt: skip


def _series(run: Run, target: pd.Series) -> list[str]:
    """The series of views that each test image belongs to; itself where there are none."""
    order = run.images.split.order
    if order is None:
        return list(target.index)
    return [
        f"{number}/{view_of(path, order)[0]}"
        for path, number in zip(target.index, target, strict=True)
    ]


def _parameters(job: dict[str, Any]) -> dict[str, Any]:
    network = job["network"]
    names = ("name", "weights", "precision", "runtime", "sha256")
    found = {f"network_{name}": network[name] for name in names if name in network}
    return {**found, "components": job.get("components")}


def _figures(job: dict[str, Any]) -> dict[str, float | None]:
    return {
        "images_per_second": job.get("images_per_second"),
        "images_quarantined": job.get("quarantined"),
        "explained_variance": job.get("explained_variance"),
        "cosine_minimum": (job.get("cosine") or {}).get("minimum"),
    }


def _samples(
    run: Run, target: pd.Series, probability: np.ndarray, classes: list[str]
) -> dict[str, list[dict[str, Any]]]:
    """Some right answers, one a label, and the wrong ones the model was surest of."""
    named, y = probability.argmax(axis=1), target.to_numpy()
    sure = probability.max(axis=1)
    firsts = [rows[0] for place in range(len(classes))
              if len(rows := np.flatnonzero((y == place) & (named == place)))]  # fmt: skip
    spread = np.linspace(0, len(firsts) - 1, min(SAMPLES, len(firsts))).astype(int)
    wrong = np.flatnonzero(named != y)
    chosen = {
        "right": [int(firsts[place]) for place in spread],
        "wrong": wrong[np.argsort(-sure[wrong], kind="stable")][:SAMPLES].tolist(),
    }
    paths = list(target.index)
    pictures = thumbnails(run, [paths[row] for rows in chosen.values() for row in rows])
    return {
        kind: [
            {
                "path": paths[row], "actual": classes[y[row]], "named": classes[named[row]],
                "picture": pictures.get(paths[row]),
                "answers": [
                    (classes[place], float(probability[row, place]))
                    for place in np.argsort(-probability[row], kind="stable")[:NAMED]
                ],
            }
            for row in rows
        ]
        for kind, rows in chosen.items()
    }  # fmt: skip
