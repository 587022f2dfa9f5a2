"""Figures of each run for CloudWatch, where alarms and dashboards can watch them."""

from __future__ import annotations

import datetime as dt
import logging
import math
from collections.abc import Mapping
from typing import Any

from millrace.steps.run import Run

log = logging.getLogger(__name__)


def metric_data(
    dataset: str, summary: Mapping[str, Any], quarantined: int, seconds: float | None
) -> list[dict[str, Any]]:
    """What PutMetricData takes, for one evaluated partition.

    Args:
        summary: `summary.json` of the evaluation.
        quarantined: rows that validation kept out.
        seconds: from the start of the run until now; None where it is not known.
    """
    winner = next(c for c in summary["candidates"] if c["candidate"] == summary["winner"])
    costs = [c["cost_usd"] for c in summary["candidates"] if c["cost_usd"] is not None]
    figures: list[tuple[str, float | None, str]] = [
        ("Rows", sum(summary["rows"].values()), "Count"),
        ("QuarantinedRows", quarantined, "Count"),
        ("Duration", seconds, "Seconds"),
        ("EstimatedCost", sum(costs) if costs else None, "None"),
        ("GatesFailed", sum(not gate["holds"] for gate in summary["gates"]), "Count"),
        *((f"Model/{name}", value, "None") for name, value in winner["metrics"].items()),
    ]
    dimensions = [{"Name": "Dataset", "Value": dataset}]
    return [
        {"MetricName": name, "Value": float(value), "Unit": unit, "Dimensions": dimensions}
        for name, value, unit in figures
        if value is not None and math.isfinite(value)
    ]


def put_metrics(run: Run) -> None:
    """Send the figures of this run's evaluation; a failure is a warning, no more."""
    if not run.is_remote or run.client is None:
        return
    evaluation = run.published("reports", "evaluation", "evaluate")
    validation = run.validation()
    seconds = None
    if run.started:
        seconds = (dt.datetime.now(dt.UTC) - run.started).total_seconds()
    summary, kept_out = evaluation.json("summary.json"), validation.facts["rows_quarantined"]
    data = metric_data(run.spec.name, summary, kept_out, seconds)
    namespace = run.settings.aws_target().metrics_namespace
    try:
        run.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)
    except Exception as error:
        log.warning("CloudWatch did not take the run's figures: %s", error)
    else:
        log.info("%d figures of this run are in CloudWatch below %s.", len(data), namespace)
