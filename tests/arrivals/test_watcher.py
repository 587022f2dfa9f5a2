"""Uploads to an S3 lake start runs: a real scheduler and triggerer, S3 and SQS as servers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from millrace.settings import Settings
from millrace.stack import Stack
from tests.arrivals.documents import notification, record
from tests.integration.test_scheduler import SPEC, orchard
from tests.lake.s3 import BUCKET, s3_client, s3_server

pytestmark = pytest.mark.integration

REGION = "us-east-1"
WITHIN = 45.0  # seconds from upload to run; about 5 on an idle machine
TIMEOUT = 300


class Uploads:
    """The bucket and the queue of one stack."""

    def __init__(self, endpoint: str):
        import boto3

        self.endpoint = endpoint
        self.s3 = s3_client(endpoint)
        self.sqs = boto3.client(
            "sqs", endpoint_url=endpoint, region_name=REGION,
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip
        self.queue = self.sqs.create_queue(QueueName="uploads")["QueueUrl"]

    def announce(self, on: bool) -> None:
        """Let the bucket tell the queue of what comes to `deep/raw/`, or tell nobody."""
        told = {
            "QueueArn": f"arn:aws:sqs:{REGION}:123456789012:uploads",
            "Events": ["s3:ObjectCreated:*"],
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "deep/raw/"}]}},
        }
        self.s3.put_bucket_notification_configuration(
            Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": [told] if on else []}
        )

    def put(self, partition: str, text: str) -> str:
        key = f"deep/raw/orchard/{partition}/rows.csv"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())
        return key

    def waiting(self) -> int:
        """Messages in the queue, those that somebody has received among them."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)
        return sum(int(found["Attributes"][name]) for name in names)


@pytest.fixture(scope="module")
def uploads() -> Iterator[Uploads]:
    with s3_server() as endpoint:
        yield Uploads(endpoint)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, uploads: Uploads) -> Iterator[Stack]:
    """A stack with one small data set on the S3 lake, watching the queue."""
    home = tmp_path_factory.mktemp("home")
    datasets = tmp_path_factory.mktemp("datasets")
    (datasets / "orchard.yaml").write_text(f"schedule: null\n{SPEC}")
    connection = {
        "conn_type": "aws", "login": "test", "password": "test",
        "extra": {"endpoint_url": uploads.endpoint, "region_name": REGION},
    }  # fmt: skip
    settings = Settings.from_environment(
        {
            "MILLRACE_HOME": str(home),
            "MILLRACE_DATASETS": str(datasets),
            "MILLRACE_LAKE": f"s3://{BUCKET}/deep",
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
        patch.setenv("MILLRACE_EVENTS_QUEUE", uploads.queue)
        with Stack(settings) as running:
            running.api.wait_for_dags(["orchard", "arrivals"])
            yield running


def runs_of(stack: Stack, partition: str) -> list[dict[str, Any]]:
    return [run for run in stack.api.runs("orchard") if run["conf"]["partition"] == partition]


def wait_for(what: str, found: Any, timeout: float = WITHIN) -> float:
    """Seconds until `found()` is true."""
    began = time.monotonic()
    while not found():
        assert time.monotonic() - began < timeout, f"{what}: not within {timeout:.0f} s"
        time.sleep(0.2)
    return time.monotonic() - began


def settled(stack: Stack, uploads: Uploads) -> bool:
    """Whether every message is acknowledged and every run of the DAG `arrivals` is over."""
    ended = all(run["state"] in ("success", "failed") for run in stack.api.runs("arrivals"))
    return ended and uploads.waiting() == 0


def test_an_upload_starts_the_run_of_its_partition(stack: Stack, uploads: Uploads) -> None:
    uploads.announce(True)
    uploads.put("2026-01-05", orchard(1))
    took = wait_for("the run", lambda: runs_of(stack, "2026-01-05"))
    print(f"From upload to run: {took:.1f} s")
    (run,) = runs_of(stack, "2026-01-05")
    assert run["dag_run_id"].startswith("arrival__2026-01-05__")
    assert run["state"] == "queued", "its DAG is paused, so it waits"
    stack.api.unpause("orchard")
    assert stack.api.wait("orchard", run["dag_run_id"], TIMEOUT)["state"] == "success"
    wait_for("the acknowledgement", lambda: settled(stack, uploads))
    assert len(runs_of(stack, "2026-01-05")) == 1


def test_a_message_told_again_starts_nothing(stack: Stack, uploads: Uploads) -> None:
    before = stack.api.runs("orchard")
    told = json.dumps(notification(record("deep/raw/orchard/2026-01-05/rows.csv")))
    for body in (told, told, "no JSON"):
        uploads.sqs.send_message(QueueUrl=uploads.queue, MessageBody=body)
    wait_for("the acknowledgement", lambda: settled(stack, uploads))
    assert stack.api.runs("orchard") == before


def test_other_content_starts_another_run(stack: Stack, uploads: Uploads) -> None:
    uploads.put("2026-01-05", orchard(2))
    wait_for("the second run", lambda: len(runs_of(stack, "2026-01-05")) == 2)


def test_the_scan_finds_what_no_message_told(stack: Stack, uploads: Uploads) -> None:
    uploads.announce(False)
    uploads.put("2026-01-06", orchard(3))
    assert not runs_of(stack, "2026-01-06")
    scan = stack.api.trigger("arrivals")  # as the clock does: without a message
    assert stack.api.wait("arrivals", scan, TIMEOUT)["state"] == "success"
    (run,) = runs_of(stack, "2026-01-06")
    again = stack.api.trigger("arrivals")
    assert stack.api.wait("arrivals", again, TIMEOUT)["state"] == "success"
    assert [one["dag_run_id"] for one in runs_of(stack, "2026-01-06")] == [run["dag_run_id"]]
    states = {
        task["task_id"]: task["state"] for task in stack.api.task_instances("arrivals", again)
    }
    assert states["start_run"] == "skipped"
