"""Batch transform of the stand-in: a real container process, AWS's splitting and joining."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.aws.standin import StandIn
from tests.integration.aws.standin.batches import BadRecord, filtered, joined, payloads
from tests.integration.aws.standin.tryout import (
    ended,
    furnish,
    log_lines,
    model,
    transform,
    wait,
)

GROUP = "/aws/sagemaker/TransformJobs"
JOIN = {
    "InputFilter": "$.inputs", "JoinSource": "Input", "OutputFilter": "$['id','SageMakerOutput']",
}  # fmt: skip


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("aws"), pace={"state": 0.05}) as started:
        furnish(started)
        started.client("sagemaker").create_model(**model(started, "model"))
        yield started


@pytest.fixture(scope="module")
def sagemaker(aws: StandIn) -> Any:
    return aws.client("sagemaker")


def put(aws: StandIn, key: str, text: str) -> str:
    aws.client("s3").put_object(Bucket="lake", Key=key, Body=text.encode())
    return key


def output(aws: StandIn, name: str) -> str:
    body = aws.client("s3").get_object(Bucket="lake", Key=f"predictions/{name}.out")["Body"]
    text: str = body.read().decode()
    return text


@pytest.mark.integration
def test_json_lines_are_filtered_and_joined_to_their_ids(aws: StandIn, sagemaker: Any) -> None:
    rows = [{"id": "a", "inputs": ["x", "y, z"]}, {"id": "é", "inputs": ["1", "2", "3"]}]
    put(aws, "rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    sagemaker.create_transform_job(**transform("joined", "rows.jsonl", DataProcessing=JOIN))
    described = ended(aws, "joined", "transform")
    assert described["TransformJobStatus"] == "Completed"
    assert described["TransformEndTime"] >= described["TransformStartTime"]
    assert [json.loads(line) for line in output(aws, "rows.jsonl").splitlines()] == [
        {"id": "a", "SageMakerOutput": {"probability": 0.2}},
        {"id": "é", "SageMakerOutput": {"probability": 0.3}},
    ]
    wait(lambda: "model loaded" in log_lines(aws, GROUP, "joined/i-"))


@pytest.mark.integration
def test_lines_of_csv_go_many_at_a_time(aws: StandIn, sagemaker: Any) -> None:
    put(aws, "rows.csv", "7,a,b\n8,c,d\n")
    sagemaker.create_transform_job(**transform(
        "csv", "rows.csv", "text/csv", BatchStrategy="MultiRecord",
        DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"},
    ))  # fmt: skip
    assert ended(aws, "csv", "transform")["TransformJobStatus"] == "Completed"
    assert output(aws, "rows.csv") == "7,2\n8,2\n"


@pytest.mark.integration
def test_a_failing_model_leaves_its_traceback_in_the_data_log(aws: StandIn, sagemaker: Any) -> None:
    put(aws, "boom.jsonl", '"boom"\n')
    sagemaker.create_transform_job(**transform("boom", "boom.jsonl"))
    described = ended(aws, "boom", "transform")
    assert described["TransformJobStatus"] == "Failed"
    assert described["FailureReason"] == "AlgorithmError: See job logs for more information"
    wait(lambda: any("no model for that" in line and line.startswith("lake/boom.jsonl:")
                     for line in log_lines(aws, GROUP, "boom/")))  # fmt: skip


@pytest.mark.integration
def test_stopping_ends_a_slow_model(aws: StandIn, sagemaker: Any) -> None:
    put(aws, "slow.jsonl", '"slow"\n')
    sagemaker.create_transform_job(**transform("slow", "slow.jsonl"))
    wait(lambda: aws.jobs(name="slow")[0]["pid"])
    sagemaker.stop_transform_job(TransformJobName="slow")
    assert ended(aws, "slow", "transform")["TransformJobStatus"] == "Stopped"
    assert aws.jobs(name="slow")[0]["pid"] is None
    with pytest.raises(ClientError, match="is in status Stopped"):
        sagemaker.stop_transform_job(TransformJobName="slow")


@pytest.mark.integration
def test_names_of_jobs_and_models_are_unique(aws: StandIn, sagemaker: Any) -> None:
    put(aws, "again.jsonl", "[1]\n")
    sagemaker.create_transform_job(**transform("again", "again.jsonl"))
    with pytest.raises(sagemaker.exceptions.ResourceInUse, match="must be unique"):
        sagemaker.create_transform_job(**transform("again", "again.jsonl"))
    ended(aws, "again", "transform")
    sagemaker.create_model(**model(aws, "short-lived"))
    with pytest.raises(ClientError, match="Cannot create already existing model"):
        sagemaker.create_model(**model(aws, "short-lived"))
    sagemaker.delete_model(ModelName="short-lived")
    with pytest.raises(ClientError, match="Could not find model"):
        sagemaker.describe_model(ModelName="short-lived")
    with pytest.raises(ClientError, match="Could not find requested job with name: nobody"):
        sagemaker.describe_transform_job(TransformJobName="nobody")


@pytest.mark.parametrize(
    ("path", "kind", "record", "wanted"),
    [
        ("$", "application/json", ' {"a": 1}', ' {"a": 1}'),
        ("$.a.b", "application/json", '{"a": {"b": [1, "x"]}}', '[1,"x"]'),
        ("$['a','c']", "application/json", '{"a": 1, "b": 2, "c": 3}', '{"a":1,"c":3}'),
        ("$[0]", "text/csv", '"x, y",2', '"x, y"'),
        ("$[1:]", "text/csv", "1,2,3", "2,3"),
        ("$[0,-1]", "text/csv", "1,2,3", "1,3"),
    ],
)
def test_filters(path: str, kind: str, record: str, wanted: str) -> None:
    assert filtered(path, record, kind) == wanted


def test_a_filter_that_finds_nothing_is_an_error() -> None:
    with pytest.raises(BadRecord, match="finds nothing"):
        filtered("$.inputs", '{"id": 1}', "application/json")


def test_joining_keeps_the_record_and_adds_the_answer() -> None:
    assert joined('{"id":1}', "[2]", "application/json") == '{"id":1,"SageMakerOutput":[2]}'
    assert joined("1,2", "0.5\n", "text/csv") == "1,2,0.5"


def test_requests_are_filled_up_to_the_limit() -> None:
    assert list(payloads(["aa", "bb", "cc"], "MultiRecord", 6)) == [["aa", "bb"], ["cc"]]
    assert list(payloads(["aa", "bb"], "SingleRecord", 6)) == [["aa"], ["bb"]]
    with pytest.raises(BadRecord, match="Too much data"):
        list(payloads(["aaaaaaa"], "MultiRecord", 6))
