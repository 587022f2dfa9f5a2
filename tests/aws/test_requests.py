"""Requests to SageMaker: they fit botocore's service model, and say what they should."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from millrace.aws.images import image_of
from millrace.aws.requests import (
    model_request,
    tag_value,
    tags,
    training_request,
    transform_request,
)
from millrace.aws.target import AwsSettings
from tests.aws.service_model import problems_of

TARGET = AwsSettings("eu-central-1", "arn:aws:iam::123456789012:role/jobs")
IN_A_NETWORK = replace(
    TARGET,
    kms_key="1234abcd-12ab-34cd-56ef-1234567890ab",
    subnets=("subnet-0a1b2c3d",),
    security_groups=("sg-0a1b2c3d",),
)
LABELS = tags(dataset="titanic", partition="2026-03-01", run="manual__2026-03-01", task="train")
SOURCE = "s3://lake/jobs/sent/0123456789abcdef/source.tar.gz"
OUTPUT = "s3://lake/jobs/titanic/2026-03-01"


def training(target: AwsSettings = TARGET, **given: Any) -> dict[str, Any]:
    return training_request(
        target,
        **{
            "image": image_of("lightgbm", target.region),
            "source": SOURCE,
            "arguments": ["--algorithm", "lightgbm", "--max_depth", "6", "--balanced", "true"],
            "channel": "s3://lake/processed/titanic/2026-03-01/train/",
            "output": OUTPUT,
            "limit": 1800.5,
            "tags": LABELS,
            "checkpoints": f"{OUTPUT}/checkpoints",
            **given,
        },
    )


def model(target: AwsSettings = TARGET) -> dict[str, Any]:
    image = image_of("xgboost", target.region)
    return model_request(
        target, image=image, source=SOURCE, model="s3://lake/models/m.tar.gz", tags=LABELS
    )


def transform(target: AwsSettings = TARGET) -> dict[str, Any]:
    return transform_request(target, rows="s3://lake/jobs/x/rows.jsonl", output=OUTPUT, tags=LABELS)


@pytest.mark.parametrize(
    "target", [TARGET, IN_A_NETWORK, replace(IN_A_NETWORK, spot=True)], ids=["plain", "own", "spot"]
)
def test_requests_fit_the_service_model(target: AwsSettings) -> None:
    name = "millrace-titanic-20260301-train-xgboost-0123456789-1"
    bodies = {
        "CreateTrainingJob": {"TrainingJobName": name, **training(target)},
        "CreateModel": {"ModelName": name, **model(target)},
        "CreateTransformJob": {"TransformJobName": name, "ModelName": name, **transform(target)},
    }
    assert {call: problems_of("sagemaker", call, body) for call, body in bodies.items()} == {
        call: [] for call in bodies
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"RoleArn": "jobs"},
        {"TrainingJobName": "under_score"},
        {"TrainingJobName": "x" * 64},
        {"StoppingCondition": {"MaxRuntimeInSeconds": 0}},
        {"HyperParameters": {"name": "x" * 2501}},
        {"Tags": [{"Key": "run", "Value": "a,b"}]},
        {"ResourceConfig": {"InstanceType": "m5.large", "VolumeSizeInGB": 1}},
        {"Unknown": 1},
    ],
    ids=str,
)
def test_the_check_finds_what_does_not_fit(wrong: dict[str, Any]) -> None:
    body = {"TrainingJobName": "millrace-a-1", **training(), **wrong}
    assert problems_of("sagemaker", "CreateTrainingJob", body)


def test_the_script_gets_its_arguments_as_they_are() -> None:
    sent = training()["HyperParameters"]
    decoded = {name: json.loads(value) for name, value in sent.items()}
    # What the container makes of them: text, after one decoding.
    assert {k: str(v) for k, v in decoded.items() if not k.startswith("sagemaker_")} == {
        "algorithm": "lightgbm", "max_depth": "6", "balanced": "true",
    }  # fmt: skip
    assert decoded["sagemaker_program"] == "train.py"
    assert decoded["sagemaker_submit_directory"] == SOURCE
    assert decoded["sagemaker_region"] == "eu-central-1"


def test_a_half_pair_of_arguments_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        training(arguments=["--algorithm"])


def test_a_job_that_uses_no_spot_capacity_waits_for_none() -> None:
    body = training()
    assert body["StoppingCondition"] == {"MaxRuntimeInSeconds": 1801}
    assert "CheckpointConfig" not in body and "EnableManagedSpotTraining" not in body


def test_a_spot_job_keeps_checkpoints_and_may_wait() -> None:
    body = training(replace(TARGET, spot=True))
    condition = body["StoppingCondition"]
    assert condition["MaxWaitTimeInSeconds"] > condition["MaxRuntimeInSeconds"] == 1801
    assert body["CheckpointConfig"]["S3Uri"] == f"{OUTPUT}/checkpoints"
    assert body["EnableManagedSpotTraining"] is True


def test_own_key_and_network_reach_every_job() -> None:
    network = {"SecurityGroupIds": ["sg-0a1b2c3d"], "Subnets": ["subnet-0a1b2c3d"]}
    body = training(IN_A_NETWORK)
    assert body["VpcConfig"] == model(IN_A_NETWORK)["VpcConfig"] == network
    assert body["OutputDataConfig"]["KmsKeyId"] == body["ResourceConfig"]["VolumeKmsKeyId"]
    sent = transform(IN_A_NETWORK)
    assert sent["TransformOutput"]["KmsKeyId"] == "1234abcd-12ab-34cd-56ef-1234567890ab"
    assert sent["TransformResources"]["VolumeKmsKeyId"] == "1234abcd-12ab-34cd-56ef-1234567890ab"
    assert "VpcConfig" not in training() and "KmsKeyId" not in training()["OutputDataConfig"]


@pytest.mark.parametrize("cost", [None, 10.0])
def test_the_metrics_are_read_from_the_scripts_own_line(
    cost: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    import numpy as np

    from cross_validation import scores

    caplog.set_level("INFO", "train")
    options = argparse.Namespace(cost_false_negative=cost, cost_false_positive=1.0)
    found = scores(options, np.array([0, 1, 1, 0]), np.array([0.1, 0.8, 0.4, 0.6]), 0.5)
    assert ("expected_cost" in found) == (cost is not None)
    line = caplog.messages[-1]
    definitions = training()["AlgorithmSpecification"]["MetricDefinitions"]
    read = {item["Name"]: re.search(item["Regex"], line) for item in definitions}
    assert {name: float(hit[1]) for name, hit in read.items() if hit} == {
        f"cross_validation:{name}": pytest.approx(value, abs=1e-4) for name, value in found.items()
    }


def test_aws_takes_no_metrics_for_its_own_xgboost_image() -> None:
    body = training(image=image_of("xgboost", "eu-central-1"))
    assert "MetricDefinitions" not in body["AlgorithmSpecification"]


def test_predictions_are_joined_to_the_ids() -> None:
    body = transform()
    assert body["DataProcessing"] == {
        "InputFilter": "$.inputs", "JoinSource": "Input",
        "OutputFilter": "$['id','SageMakerOutput']",
    }  # fmt: skip
    # A join needs the same kind of lines on both sides.
    assert body["TransformInput"]["ContentType"] == body["TransformOutput"]["Accept"]
    assert body["TransformInput"]["SplitType"] == body["TransformOutput"]["AssembleWith"]


def test_tags_tell_where_a_resource_comes_from() -> None:
    assert {tag["Key"]: tag["Value"] for tag in LABELS} == {
        "project": "millrace", "dataset": "titanic", "partition": "2026-03-01",
        "run": "manual__2026-03-01", "task": "train",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("manual__2026-03-01T06:00:00+00:00", "manual__2026-03-01T06:00:00+00:00"),
        ("a,b{c}\n\td", "a_b_c___d"),
        ("Früh ü@b/=", "Früh ü@b/="),
        ("x" * 300, "x" * 256),
    ],
)
def test_a_tag_holds_what_aws_allows(text: str, value: str) -> None:
    assert tag_value(text) == value
    body = {"ResourceArn": "arn:aws:sagemaker:eu-west-1:123456789012:model/m"}
    body |= {"Tags": [{"Key": "run", "Value": tag_value(text)}]}
    assert problems_of("sagemaker", "AddTags", body) == []
