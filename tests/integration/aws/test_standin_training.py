"""Training jobs of the stand-in: the script really runs, and the job looks as it does on AWS."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.aws.standin import StandIn
from tests.integration.aws.standin.tryout import ended, furnish, log_lines, training, wait

pytestmark = pytest.mark.integration
GROUP = "/aws/sagemaker/TrainingJobs"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    pace = {"state": 0.05, "checkpoints": 0.1}
    with StandIn(tmp_path_factory.mktemp("aws"), pace=pace) as started:
        furnish(started)
        yield started


@pytest.fixture(scope="module")
def sagemaker(aws: StandIn) -> Any:
    return aws.client("sagemaker")


def facts(aws: StandIn, job: str) -> dict[str, Any]:
    """What the script of a job wrote into its model."""
    body = aws.client("s3").get_object(Bucket="lake", Key=f"jobs/{job}/output/model.tar.gz")["Body"]
    with tarfile.open(fileobj=io.BytesIO(body.read())) as tar:
        member = tar.extractfile("facts.json")
        assert member is not None
        found: dict[str, Any] = json.load(member)
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_job_runs_its_script_and_stores_what_it_wrote(aws: StandIn, sagemaker: Any) -> None:
    metric = {"Name": "accuracy", "Regex": "accuracy ([0-9.]+)"}
    request = training(aws, "whole", Environment={"EXTRA": "yes"})
    request["AlgorithmSpecification"]["MetricDefinitions"] = [metric]
    arn = sagemaker.create_training_job(**request)["TrainingJobArn"]
    described = ended(aws, "whole")
    wrote = facts(aws, "whole")
    assert described["TrainingJobStatus"] == "Completed"
    assert [entry["Status"] for entry in described["SecondaryStatusTransitions"]] == [
        "Starting", "Starting", "Downloading", "Training", "Uploading", "Completed"
    ]  # fmt: skip
    assert described["TrainingTimeInSeconds"] == described["BillableTimeInSeconds"] == 1
    assert described["FinalMetricDataList"][0]["Value"] == pytest.approx(0.75)
    assert described["ModelArtifacts"]["S3ModelArtifacts"].endswith("/whole/output/model.tar.gz")
    assert wrote["rows"] == "age,bears\n3,1\n"
    assert wrote["arguments"] == ["--depth", "3", "--mode", ""]
    assert wrote["variables"]["SM_CHANNELS"] == '["train"]'
    assert wrote["variables"]["EXTRA"] == "yes"
    assert "SM_CHECKPOINT_DIR" not in wrote["variables"]
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == request["Tags"]
    keys = [item["Key"] for item in aws.client("s3").list_objects_v2(
        Bucket="lake", Prefix="jobs/whole/")["Contents"]]  # fmt: skip
    assert keys == ["jobs/whole/output/model.tar.gz", "jobs/whole/output/output.tar.gz"]


def test_a_name_is_never_given_twice(aws: StandIn, sagemaker: Any) -> None:
    sagemaker.create_training_job(**training(aws, "twice"))
    for _ in range(2):
        with pytest.raises(
            sagemaker.exceptions.ResourceInUse, match="must be unique within an AWS"
        ):
            sagemaker.create_training_job(**training(aws, "twice"))
        ended(aws, "twice")
    assert [job["starts"] for job in aws.jobs(name="twice")] == [1]


def test_a_failing_script_gives_its_error_and_its_log(aws: StandIn, sagemaker: Any) -> None:
    sagemaker.create_training_job(**training(aws, "failing", "fail"))
    described = ended(aws, "failing")
    assert described["TrainingJobStatus"] == described["SecondaryStatus"] == "Failed"
    reason = described["FailureReason"]
    assert reason.startswith("AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage")
    assert "ValueError: no such column: age" in reason and reason.endswith("exit code: 1")
    lines = wait(lambda: [line for line in log_lines(aws, GROUP, "failing/algo-1-")
                          if "no such column" in line])  # fmt: skip
    assert lines[-1] == "ValueError: no such column: age"


def test_lines_reach_the_log_late(aws: StandIn, sagemaker: Any) -> None:
    aws.pace(logs=4.0)
    sagemaker.create_training_job(**training(aws, "late"))
    ended(aws, "late")
    assert not log_lines(aws, GROUP, "late/")
    aws.pace(logs=0.0)
    wait(lambda: "depth 3" in log_lines(aws, GROUP, "late/"))


def test_stopping_ends_the_process(aws: StandIn, sagemaker: Any) -> None:
    sagemaker.create_training_job(**training(aws, "stopped", "sleep"))
    pid = wait(lambda: aws.jobs(name="stopped")[0]["pid"])
    assert is_alive(pid)
    sagemaker.stop_training_job(TrainingJobName="stopped")
    assert sagemaker.describe_training_job(TrainingJobName="stopped")["TrainingJobStatus"] in (
        "Stopping", "Stopped"
    )  # fmt: skip
    described = ended(aws, "stopped")
    assert (described["TrainingJobStatus"], described["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert not is_alive(pid)
    with pytest.raises(ClientError, match="rejected because the training job is in status Stopped"):
        sagemaker.stop_training_job(TrainingJobName="stopped")


def test_the_time_limit_stops_a_job(aws: StandIn, sagemaker: Any) -> None:
    condition = {"MaxRuntimeInSeconds": 1}
    sagemaker.create_training_job(**training(aws, "slow", "sleep", StoppingCondition=condition))
    described = ended(aws, "slow")
    assert described["TrainingJobStatus"] == "Stopped"
    assert described["SecondaryStatus"] == "MaxRuntimeExceeded"


def test_a_spot_job_goes_on_from_its_checkpoints(aws: StandIn, sagemaker: Any) -> None:
    aws.fault({"fault": "interruption", "operation": "CreateTrainingJob", "times": 1,
               "seconds": 0.6})  # fmt: skip
    sagemaker.create_training_job(**training(
        aws, "spot", "rounds", EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90},
        CheckpointConfig={"S3Uri": "s3://lake/kept", "LocalPath": "/opt/ml/checkpoints"},
    ))  # fmt: skip
    described = ended(aws, "spot")
    assert described["TrainingJobStatus"] == "Completed"
    assert "Interrupted" in [item["Status"] for item in described["SecondaryStatusTransitions"]]
    assert aws.jobs(name="spot")[0]["starts"] == 2
    lines = wait(lambda: [line for line in log_lines(aws, GROUP, "spot/") if "before" in line])
    assert int(lines[-1].split()[-1]) > 0
    kept = aws.client("s3").get_object(Bucket="lake", Key="kept/rounds")["Body"].read()
    assert kept == b"8"


def test_unknown_jobs_are_told_in_the_words_of_aws(aws: StandIn, sagemaker: Any) -> None:
    with pytest.raises(ClientError, match="Requested resource not found"):
        sagemaker.describe_training_job(TrainingJobName="nobody")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"RoleArn": "arn:aws:iam::123456789012:role/nobody"}, "Could not assume role"),
        ({"InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": {
            "S3DataType": "S3Prefix", "S3Uri": "s3://lake/nothing/"}}}]}, "No S3 objects found"),
        ({"EnableManagedSpotTraining": True}, "Invalid MaxWaitTimeInSeconds"),
    ],
)  # fmt: skip
def test_bad_requests_start_nothing(
    aws: StandIn, sagemaker: Any, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ClientError, match=words):
        sagemaker.create_training_job(**training(aws, "bad", **changes))
    assert not aws.jobs(name="bad")


def test_a_bucket_that_is_not_there_fails_the_upload(aws: StandIn, sagemaker: Any) -> None:
    output = {"S3OutputPath": "s3://no-such-bucket/jobs"}
    sagemaker.create_training_job(**training(aws, "nowhere", OutputDataConfig=output))
    reason = ended(aws, "nowhere")["FailureReason"]
    assert reason.startswith("ClientError: Artifact upload failed") and "bucket" in reason


def test_listings_filter_and_page(aws: StandIn, sagemaker: Any) -> None:
    for number in range(3):
        sagemaker.create_training_job(**training(aws, f"listed-{number}"))
        ended(aws, f"listed-{number}")
    pages = sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains="listed-", StatusEquals="Completed", PaginationConfig={"PageSize": 2}
    )
    names = [[job["TrainingJobName"] for job in page["TrainingJobSummaries"]] for page in pages]
    assert names == [["listed-2", "listed-1"], ["listed-0"]]


def test_jobs_die_with_the_stand_in(tmp_path: Path) -> None:
    aws = StandIn(tmp_path, pace={"state": 0})
    aws.start()
    furnish(aws)
    aws.client("sagemaker").create_training_job(**training(aws, "orphan", "family"))
    pid = wait(lambda: aws.jobs(name="orphan")[0]["pid"])

    def told() -> list[str]:
        try:
            return [line for line in log_lines(aws, GROUP, "orphan/") if "child" in line]
        except ClientError:  # the log group is not made yet
            return []

    child = int(wait(told)[0].split()[1])
    assert aws.process is not None and is_alive(pid) and is_alive(child)
    os.kill(aws.process.pid, 9)
    aws.stop()
    wait(lambda: not is_alive(pid) and not is_alive(child), 10)


def test_a_job_that_never_ends_stays_until_it_is_stopped(aws: StandIn, sagemaker: Any) -> None:
    aws.fault({"fault": "never_ends", "operation": "CreateTrainingJob", "times": 1})
    sagemaker.create_training_job(**training(aws, "endless"))
    wait(lambda: sagemaker.describe_training_job(TrainingJobName="endless")["SecondaryStatus"]
         == "Training")  # fmt: skip
    time.sleep(0.3)
    assert aws.jobs(name="endless")[0]["state"] == "InProgress"
    sagemaker.stop_training_job(TrainingJobName="endless")
    assert ended(aws, "endless")["TrainingJobStatus"] == "Stopped"


@pytest.mark.parametrize(
    ("fault", "words"),
    [("capacity", "CapacityError: Unable to provision"), ("internal_error", "InternalServerError"),
     ("image", "Cannot find repository: xgboost in registry ID: 1")],
)  # fmt: skip
def test_jobs_fail_as_told(aws: StandIn, sagemaker: Any, fault: str, words: str) -> None:
    aws.fault({"fault": fault, "service": "sagemaker", "times": 1})
    name = f"told-{fault.replace('_', '-')}"
    sagemaker.create_training_job(**training(aws, name))
    assert words in ended(aws, name)["FailureReason"]
    assert aws.jobs(name=name)[0]["starts"] == 0
