"""The figures of a run in CloudWatch."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.config import Config

from millrace.lake import Attempt
from millrace.lake import publish as publish_at
from millrace.steps.cloudwatch import metric_data, put_metrics
from millrace.steps.run import Run
from tests.aws.service_model import problems_of
from tests.integration.aws.standin import StandIn
from tests.steps.club import club_run, make_bucket

WINNER = {
    "candidate": "good", "metrics": {"roc_auc": 0.9, "f1": 0.5, "log_loss": float("nan")},
    "cost_usd": 0.25,
}  # fmt: skip
STUMP = {"candidate": "stump", "metrics": {"roc_auc": 0.6}, "cost_usd": 0.5}
SUMMARY = {
    "winner": "good", "candidates": [STUMP, WINNER], "rows": {"train": 160, "test": 40},
    "gates": [{"holds": True}, {"holds": False}],
}  # fmt: skip


def figures(summary: dict[str, Any] = SUMMARY, seconds: float | None = 12.5) -> dict[str, Any]:
    data = metric_data("club", summary, 3, seconds)
    assert problems_of("cloudwatch", "PutMetricData", {"Namespace": "M", "MetricData": data}) == []
    assert all(item["Dimensions"] == [{"Name": "Dataset", "Value": "club"}] for item in data)
    return {item["MetricName"]: (item["Value"], item["Unit"]) for item in data}


def test_the_figures_of_a_run() -> None:
    """CloudWatch takes no NaN, and would refuse the whole call for one."""
    assert figures() == {
        "Rows": (200.0, "Count"), "QuarantinedRows": (3.0, "Count"),
        "Duration": (12.5, "Seconds"), "EstimatedCost": (0.75, "None"),
        "GatesFailed": (1.0, "Count"), "Model/roc_auc": (0.9, "None"), "Model/f1": (0.5, "None"),
    }  # fmt: skip


def test_what_is_not_known_is_left_out() -> None:
    free = {**SUMMARY, "candidates": [{**WINNER, "cost_usd": None}]}
    assert not {"EstimatedCost", "Duration"} & set(figures(free, None))


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("aws"), policies={"nobody": []}) as started:
        make_bucket(started, "figures")
        yield started


@pytest.fixture(scope="module")
def run(aws: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with a published validation and evaluation."""
    found = club_run(
        aws, tmp_path_factory.mktemp("club"), "s3://figures/lake",
        MILLRACE_METRICS_NAMESPACE="Club/Figures",
    )  # fmt: skip

    def build(attempt: Attempt) -> None:
        attempt.write("summary.json", json.dumps(SUMMARY))
        attempt.facts["rows_quarantined"] = 3

    for name in ("validation", "evaluation"):
        place = found.place("reports", name)
        publish_at(found.store, place, depends_on={}, inputs={}, build=build)
    started = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=100)
    return replace(found, started=started)


def test_they_reach_cloudwatch(aws: StandIn, run: Run) -> None:
    put_metrics(run)
    client = aws.client("cloudwatch")
    metrics = client.list_metrics(Namespace="Club/Figures")["Metrics"]
    assert {item["MetricName"] for item in metrics} == set(figures())
    now = dt.datetime.now(dt.UTC)
    [point] = client.get_metric_statistics(
        Namespace="Club/Figures", MetricName="Duration", Statistics=["Maximum"], Period=3600,
        Dimensions=[{"Name": "Dataset", "Value": "club"}],
        StartTime=now - dt.timedelta(hours=1), EndTime=now + dt.timedelta(hours=1),
    )["Datapoints"]  # fmt: skip
    assert 100 <= point["Maximum"] < 160


@pytest.mark.parametrize("trouble", ["no right", "no network"])
def test_a_refusal_is_a_warning(
    aws: StandIn, run: Run, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    once = Config(retries={"total_max_attempts": 1})
    refusing = {
        "no right": lambda service: aws.client(service, "nobody", config=once),
        "no network": lambda service: aws.client(
            service, endpoint_url="http://127.0.0.1:9", config=once
        ),
    }[trouble]
    put_metrics(replace(run, client=refusing))
    [record] = [each for each in caplog.records if each.name == "millrace.steps.cloudwatch"]
    assert record.levelno == logging.WARNING
    wanted = {"no right": "cloudwatch:PutMetricData", "no network": "127.0.0.1:9"}[trouble]
    assert wanted in record.getMessage()


def test_a_run_on_this_machine_sends_nothing(aws: StandIn, run: Run) -> None:
    before = aws.calls().get("cloudwatch.PutMetricData", 0)
    put_metrics(replace(run, engine="local"))
    put_metrics(replace(run, client=None))
    assert aws.calls().get("cloudwatch.PutMetricData", 0) == before
