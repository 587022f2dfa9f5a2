"""Small jobs that the stand-in's own tests submit, and waiting for them."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.integration.aws.standin.client import StandIn

BUCKET = "lake"
TRAIN = """
import argparse, json, os, pathlib, subprocess, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--depth", type=int)
parser.add_argument("--mode", default="")
options = parser.parse_args()
print("depth", options.depth, flush=True)
model = pathlib.Path(os.environ["SM_MODEL_DIR"])
kept = pathlib.Path(os.environ.get("SM_CHECKPOINT_DIR", "."), "rounds")
(model / "facts.json").write_text(json.dumps({
    "rows": pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "train.csv").read_text(),
    "variables": {k: v for k, v in os.environ.items() if k.startswith(("SM_", "AWS_", "EXTRA"))},
    "arguments": sys.argv[1:],
}))
if options.mode == "fail":
    raise ValueError("no such column: age")
if options.mode == "family":
    print("child", subprocess.Popen(["sleep", "60"]).pid, flush=True)
if options.mode in ("sleep", "family"):
    time.sleep(60)
if options.mode == "rounds":
    done = int(kept.read_text()) if kept.exists() else 0
    print("rounds done before:", done, flush=True)
    while done < 8:
        time.sleep(0.1)
        done += 1
        kept.write_text(str(done))
pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "folds.csv").write_text("1")
print("accuracy 0.75", flush=True)
"""
INFERENCE = """
import json, pathlib, time
def model_fn(folder):
    print("model loaded", flush=True)
    return json.loads(pathlib.Path(folder, "facts.json").read_text())
def input_fn(body, content_type):
    if "slow" in body:
        time.sleep(60)
    if content_type == "text/csv":
        return [line.split(",") for line in body.split("\\n")]
    return json.loads(body)
def predict_fn(data, model):
    if data == "boom":
        raise ValueError("no model for that")
    return [len(row) for row in data] if isinstance(data[0], list) else len(data)
def output_fn(prediction, accept):
    if accept == "text/csv":
        return "".join(f"{value}\\n" for value in prediction)
    return json.dumps({"probability": prediction / 10})
"""
SPARK = """
import os, sys, time
print("words", sys.argv[1:], flush=True)
if "fail" in sys.argv:
    raise RuntimeError("no such table")
if "sleep" in sys.argv:
    time.sleep(60)
import boto3
boto3.client("s3").put_object(Bucket="lake", Key=sys.argv[-1], Body=b"done")
"""


def archive(files: Mapping[str, str]) -> bytes:
    """A .tar.gz of texts by name."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return raw.getvalue()


def furnish(aws: StandIn) -> None:
    """A bucket with rows, sources and scripts."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": aws.region})
    objects = {
        "train/train.csv": b"age,bears\n3,1\n",
        "source.tar.gz": archive({"train.py": TRAIN, "inference.py": INFERENCE}),
        "model.tar.gz": archive({"facts.json": "{}"}),
        "job.py": SPARK.encode(),
    }
    for key, body in objects.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)


def training(aws: StandIn, name: str, mode: str = "", **changes: Any) -> dict[str, Any]:
    """A request of CreateTrainingJob."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/train/"}
    request = {
        "TrainingJobName": name, "RoleArn": aws.role,
        "AlgorithmSpecification": {
            "TrainingImage": "1.dkr.ecr.eu-west-3.amazonaws.com/xgboost:3",
            "TrainingInputMode": "File",
        },
        "HyperParameters": {
            "depth": "3", "mode": json.dumps(mode), "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": f'"s3://{BUCKET}/source.tar.gz"',
        },
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/jobs"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "Tags": [{"Key": "project", "Value": "orchard"}],
    }  # fmt: skip
    return {**request, **changes}


def model(aws: StandIn, name: str) -> dict[str, Any]:
    """A request of CreateModel."""
    variables = {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": f"s3://{BUCKET}/source.tar.gz",
    }
    container = {"Image": "x", "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz",
                 "Environment": variables}  # fmt: skip
    return {"ModelName": name, "ExecutionRoleArn": aws.role, "PrimaryContainer": container}


def transform(
    name: str, rows: str, kind: str = "application/json", **changes: Any
) -> dict[str, Any]:
    """A request of CreateTransformJob on one object."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{rows}"}
    request = {
        "TransformJobName": name, "ModelName": "model", "BatchStrategy": "SingleRecord",
        "TransformInput": {"DataSource": {"S3DataSource": source}, "ContentType": kind,
                           "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/predictions", "Accept": kind,
                            "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }  # fmt: skip
    return {**request, **changes}


def wait(ask: Callable[[], Any], seconds: float = 30) -> Any:
    """What `ask` answers as soon as it is true of something.

    Raises:
        TimeoutError: it never was.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := ask():
            return found
        time.sleep(0.03)
    raise TimeoutError(f"{ask} answered nothing in {seconds:g} s")


def ended(aws: StandIn, name: str, kind: str = "training") -> dict[str, Any]:
    """The description of a SageMaker job once it has ended."""
    ask = getattr(aws.client("sagemaker"), f"describe_{kind}_job")
    word = kind.capitalize()

    def over() -> Any:
        found = ask(**{f"{word}JobName": name})
        return found if found[f"{word}JobStatus"] in ("Completed", "Failed", "Stopped") else None

    described: dict[str, Any] = wait(over)
    return described


def log_lines(aws: StandIn, group: str, prefix: str) -> list[str]:
    """The lines in all streams of a group whose names begin with a prefix."""
    logs = aws.client("logs")
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)
    return [
        event["message"]
        for stream in streams["logStreams"]
        for event in logs.get_log_events(
            logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
        )["events"]
    ]
