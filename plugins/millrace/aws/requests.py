"""What SageMaker is asked to do: the bodies of its start calls, without the names of the jobs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from millrace.aws.target import AwsSettings
from millrace.metrics import EXPECTED_COST, METRICS

TRAINING_SCRIPT, INFERENCE_SCRIPT = "train.py", "inference.py"
LOG_LEVEL = "20"  # INFO
SPOT_WAIT = 3600  # seconds a spot job may wait for capacity, besides the time it runs
CHECKPOINTS = "/opt/ml/checkpoints"
SCORES = (*METRICS, EXPECTED_COST)
UNTAGGABLE = re.compile(r"[^\w .:/=+\-@]")  # what AWS's tags may not hold
LONGEST_TAG = 256  # characters of a value


def training_request(
    target: AwsSettings,
    *,
    image: str,
    source: str,
    arguments: Sequence[str],
    channel: str,
    output: str,
    limit: float,
    tags: Sequence[Mapping[str, str]],
    checkpoints: str = "",
) -> dict[str, Any]:
    """The body of CreateTrainingJob: train.py of the source archive on one channel, CSV.

    Args:
        source: URI of the archive with the scripts.
        arguments: command line of train.py, `--name value` pairs.
        channel: URI prefix of the train channel.
        output: URI prefix under which SageMaker makes `<job>/output/`.
        limit: seconds the job may run.
        checkpoints: URI prefix of a spot job's checkpoints.
    """
    body: dict[str, Any] = {
        "AlgorithmSpecification": {
            "TrainingImage": image,
            "TrainingInputMode": "File",
            **metrics_of(image),
        },
        "RoleArn": target.sagemaker_role,
        "HyperParameters": hyperparameters(target, source, arguments),
        "InputDataConfig": [_channel("train", channel)],
        "OutputDataConfig": {"S3OutputPath": output, **_key(target, "KmsKeyId")},
        "ResourceConfig": {
            "InstanceType": target.training_instance,
            "InstanceCount": 1,
            "VolumeSizeInGB": target.volume,
            **_key(target, "VolumeKmsKeyId"),
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": math.ceil(limit)},
        # The container installs requirements.txt from the package index, so it needs the network.
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,  # one instance: nothing to encrypt
        "Environment": {"PYTHONUNBUFFERED": "1"},
        "Tags": list(tags),
        **_network(target),
    }
    if target.spot:
        body["EnableManagedSpotTraining"] = True
        body["StoppingCondition"]["MaxWaitTimeInSeconds"] = math.ceil(limit) + SPOT_WAIT
        body["CheckpointConfig"] = {"S3Uri": checkpoints, "LocalPath": CHECKPOINTS}
    return body


def hyperparameters(target: AwsSettings, source: str, arguments: Sequence[str]) -> dict[str, str]:
    """The script's arguments and what script mode needs.

    The container decodes each value as JSON and turns it into text again. Sent as a JSON string,
    each reaches the script as it was: `true` would arrive as `True`.
    """
    given = zip(arguments[::2], arguments[1::2], strict=True)
    found = {name.removeprefix("--"): value for name, value in given}
    found |= {
        "sagemaker_program": TRAINING_SCRIPT,
        "sagemaker_submit_directory": source,
        "sagemaker_region": target.region,
    }
    return {name: json.dumps(value) for name, value in found.items()} | {
        "sagemaker_container_log_level": LOG_LEVEL
    }


def metrics_of(image: str) -> dict[str, list[dict[str, str]]]:
    """What CloudWatch reads from train.py's line `Cross-validation: accuracy 0.8123, f1 ...`.

    Nothing for AWS's XGBoost image: SageMaker takes it for a built-in algorithm, whose metrics
    cannot be defined (github.com/aws/sagemaker-python-sdk/issues/2226).
    """
    if "/sagemaker-xgboost:" in image:
        return {}
    definitions = [
        {
            "Name": f"cross_validation:{score}",
            "Regex": rf"Cross-validation: .*\b{score} ([0-9]+\.[0-9]+)",
        }
        for score in SCORES
    ]
    return {"MetricDefinitions": definitions}


def model_request(
    target: AwsSettings, *, image: str, source: str, model: str, tags: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    """The body of CreateModel: inference.py of the source archive with one model archive."""
    return {
        "PrimaryContainer": {
            "Image": image,
            "ModelDataUrl": model,
            "Environment": {
                "SAGEMAKER_PROGRAM": INFERENCE_SCRIPT,
                "SAGEMAKER_SUBMIT_DIRECTORY": source,
                "SAGEMAKER_REGION": target.region,
                "SAGEMAKER_CONTAINER_LOG_LEVEL": LOG_LEVEL,
            },
        },
        "ExecutionRoleArn": target.sagemaker_role,
        "EnableNetworkIsolation": False,  # see training_request
        "Tags": list(tags),
        **_network(target),
    }


def transform_request(
    target: AwsSettings, *, rows: str, output: str, tags: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    """The body of CreateTransformJob without the names of job and model.

    A line of the input is `{"id": ..., "inputs": [...]}`; the model gets the inputs, and a line of
    the output is `{"id": ..., "SageMakerOutput": {"probability": ...}}`.
    """
    lines = "application/jsonlines"
    return {
        "BatchStrategy": "MultiRecord",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": rows}},
            "ContentType": lines,
            "SplitType": "Line",
        },
        "DataProcessing": {
            "InputFilter": "$.inputs",
            "JoinSource": "Input",
            "OutputFilter": "$['id','SageMakerOutput']",
        },
        "TransformOutput": {
            "S3OutputPath": output,
            "Accept": lines,
            "AssembleWith": "Line",
            **_key(target, "KmsKeyId"),
        },
        "TransformResources": {
            "InstanceType": target.transform_instance,
            "InstanceCount": 1,
            **_key(target, "VolumeKmsKeyId"),
        },
        "Tags": list(tags),
    }


def tags(
    *, dataset: str, partition: str, run: str, task: str, cost: float | None = None
) -> list[dict[str, str]]:
    """The tags of every AWS resource that is made, in the form of SageMaker's API.

    Args:
        cost: estimate of what the job may cost at most, in US dollars; None where it is not known.
    """
    values = {
        "project": "millrace", "dataset": dataset, "partition": partition, "run": run, "task": task,
    }  # fmt: skip
    if cost is not None:
        values["cost_at_most_usd"] = f"{cost:.4f}"
    return [{"Key": key, "Value": tag_value(value)} for key, value in values.items()]


def tag_value(text: str) -> str:
    """Text as a tag's value: other characters than AWS allows become `_`."""
    return UNTAGGABLE.sub("_", text)[:LONGEST_TAG]


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {
        "S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated",
    }  # fmt: skip
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": source},
        "ContentType": "text/csv",
        "InputMode": "File",
    }


def _key(target: AwsSettings, field: str) -> dict[str, str]:
    return {field: target.kms_key} if target.kms_key else {}


def _network(target: AwsSettings) -> dict[str, Any]:
    if not target.subnets:
        return {}
    groups, subnets = list(target.security_groups), list(target.subnets)
    return {"VpcConfig": {"SecurityGroupIds": groups, "Subnets": subnets}}
