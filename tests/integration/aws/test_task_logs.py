"""Task logs in CloudWatch, by Airflow's own settings and the shipped policy alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.aws.stack import BUCKET, VALUES, Rehearsal, rehearsal
from tests.integration.aws.standin.account import ACCOUNT, REGION
from tests.integration.test_scheduler import SPEC, orchard

pytestmark = pytest.mark.integration

GROUP = VALUES["TaskLogGroup"]
TIMEOUT = 240


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    folder = tmp_path_factory.mktemp("logs")
    (folder / "datasets").mkdir()
    (folder / "datasets" / "orchard.yaml").write_text(SPEC)
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}"
    variables = {
        "MILLRACE_DATASETS": str(folder / "datasets"),
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
        "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": f"cloudwatch://{arn}",
        "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "aws_default",
    }
    with rehearsal(folder, variables) as started:
        started.stack.api.wait_for_dags(["orchard"])
        started.stack.api.unpause("orchard")
        yield started


def lines_by_stream(running: Rehearsal) -> dict[str, list[str]]:
    logs: Any = running.aws.client("logs")
    streams = logs.describe_log_streams(logGroupName=GROUP)["logStreams"]
    return {
        name: [
            event["message"]
            for event in logs.get_log_events(logGroupName=GROUP, logStreamName=name)["events"]
        ]
        for name in (stream["logStreamName"] for stream in streams)
    }


def test_a_run_leaves_its_task_logs_and_its_figures_in_cloudwatch(running: Rehearsal) -> None:
    key = "lake/raw/orchard/2026-01-01/rows.csv"
    running.aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=orchard(1).encode())
    api = running.stack.api
    run_id = api.trigger("orchard", {"partition": "2026-01-01", "candidates": ["tree"]})
    run = api.wait("orchard", run_id, TIMEOUT)
    assert run["state"] == "success"
    streams = lines_by_stream(running)
    validated = [text for name, text in streams.items() if "validate_raw" in name]
    assert any("200 rows read" in line for lines in validated for line in lines)
    trained = [text for name, text in streams.items() if "train" in name]
    assert any("Started millrace-orchard" in line for lines in trained for line in lines)
    page = f"/dags/orchard/dagRuns/{run_id}/taskInstances/train/links"
    (link,) = api._object("GET", page, params={"map_index": 0})["extra_links"].values()
    assert link.startswith(f"https://{REGION}.console.aws.amazon.com/sagemaker/home")
    said = api.log("orchard", run_id, "validate_raw", 1)
    assert "200 rows read" in said
    metrics = running.aws.client("cloudwatch").list_metrics(Namespace="Millrace")["Metrics"]
    assert {"Rows", "Duration", "EstimatedCost"} <= {metric["MetricName"] for metric in metrics}
