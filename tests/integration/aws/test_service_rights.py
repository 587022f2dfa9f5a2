"""The rights of the model service and of the function's failures, enforced: enough, and no more."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from millrace.aws.policies import policy
from tests.integration.aws.stack import BUCKET
from tests.integration.aws.stack import VALUES as INSTALLATION
from tests.integration.aws.standin import StandIn
from tests.steps.club import make_bucket

pytestmark = pytest.mark.integration

VALUES = {
    **INSTALLATION, "KmsKey": "arn:aws:kms:eu-west-3:123456789012:key/0d990263",
    "FunctionName": "millrace-on-upload", "FailuresQueue": "millrace-failures",
}  # fmt: skip
SERVICE = policy("service", VALUES)
USED = {
    "ListModels": lambda aws, user: aws.client("s3", user).list_objects_v2(
        Bucket=BUCKET, Prefix="lake/models/"
    ),
    "ReadModels": lambda aws, user: aws.client("s3", user).get_object(
        Bucket=BUCKET, Key="lake/models/x"
    ),
    "RecordPredictions": lambda aws, user: aws.client("s3", user).put_object(
        Bucket=BUCKET, Key="lake/recorded/titanic/x", Body=b"1"
    ),
}
"""A call for each statement but `UseKeyForObjects`: the stand-in's S3 asks KMS for nothing."""


def without(sid: str) -> dict[str, Any]:
    document = copy.deepcopy(SERVICE)
    document["Statement"] = [each for each in document["Statement"] if each["Sid"] != sid]
    return document


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    users = {f"no-{sid}": [without(sid)] for sid in USED}
    users |= {"service": [SERVICE], "function": [policy("lambda", VALUES)]}
    with StandIn(tmp_path_factory.mktemp("aws"), policies=users) as started:
        make_bucket(started, BUCKET)
        for key in ("models/x", "mlflow/1/x", "raw/x", "processed/x", "recorded/x"):
            started.client("s3").put_object(Bucket=BUCKET, Key=f"lake/{key}", Body=b"1")
        for name in ("millrace-failures", "theirs"):
            started.client("sqs").create_queue(QueueName=name)
        yield started


def refused(call: Callable[[], Any], action: str) -> None:
    with pytest.raises(Exception, match=rf"not authorized to perform: {action}\b"):
        call()


def test_every_statement_has_its_call() -> None:
    assert {each["Sid"] for each in SERVICE["Statement"]} == {*USED, "UseKeyForObjects"}


@pytest.mark.parametrize("sid", USED)
def test_the_service_needs_each_statement(aws: StandIn, sid: str) -> None:
    USED[sid](aws, "service")
    (statement,) = [each for each in SERVICE["Statement"] if each["Sid"] == sid]
    refused(lambda: USED[sid](aws, f"no-{sid}"), statement["Action"][0])


def test_it_reads_the_artifacts_of_mlflow(aws: StandIn) -> None:
    aws.client("s3", "service").get_object(Bucket=BUCKET, Key="lake/mlflow/1/x")


@pytest.mark.parametrize("key", ["raw/x", "processed/x", "recorded/x"])
def test_it_reads_nothing_else(aws: StandIn, key: str) -> None:
    s3 = aws.client("s3", "service")
    refused(lambda: s3.get_object(Bucket=BUCKET, Key=f"lake/{key}"), "s3:GetObject")


@pytest.mark.parametrize("key", ["models/x", "mlflow/1/x", "raw/x"])
def test_it_writes_and_deletes_nothing_else(aws: StandIn, key: str) -> None:
    s3, place = aws.client("s3", "service"), {"Bucket": BUCKET, "Key": f"lake/{key}"}
    refused(lambda: s3.put_object(**place, Body=b""), "s3:PutObject")
    refused(lambda: s3.delete_object(**place), "s3:DeleteObject")
    refused(lambda: s3.list_objects_v2(Bucket=BUCKET, Prefix="lake/raw/"), "s3:ListBucket")


def test_the_function_hands_its_failures_to_its_queue_alone(aws: StandIn) -> None:
    sqs = aws.client("sqs", "function")
    urls = {
        name: aws.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
        for name in ("millrace-failures", "theirs")
    }
    sqs.send_message(QueueUrl=urls["millrace-failures"], MessageBody="{}")
    refused(lambda: sqs.send_message(QueueUrl=urls["theirs"], MessageBody="{}"), "sqs:SendMessage")
