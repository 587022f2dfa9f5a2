"""SageMaker's control plane: training jobs, transform jobs, models, their tags."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from tests.integration.aws.standin.answers import AwsError
from tests.integration.aws.standin.calls import Call
from tests.integration.aws.standin.cloud import Cloud
from tests.integration.aws.standin.inputs import PRINCIPAL, Inputs
from tests.integration.aws.standin.listing import page_of
from tests.integration.aws.standin.models import Models
from tests.integration.aws.standin.training import TrainingJob
from tests.integration.aws.standin.transform import TransformJob


class SageMaker:
    """What the stand-in answers itself; everything else of SageMaker is moto's."""

    def __init__(self, cloud: Cloud):
        self._cloud = cloud
        self._training: dict[tuple[str, str], TrainingJob] = {}
        self._transform: dict[tuple[str, str], TransformJob] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self._inputs = Inputs(cloud.iam)
        self._models = Models(self._inputs, self._tags)
        self.operations: dict[str, Callable[[Call], dict[str, Any]]] = {
            "CreateTrainingJob": self._create_training,
            "CreateTransformJob": self._create_transform,
            "DescribeTrainingJob": self._describe_training,
            "DescribeTransformJob": self._describe_transform,
            "StopTrainingJob": self._stop_training, "StopTransformJob": self._stop_transform,
            "ListTrainingJobs": self._list_training, "ListTransformJobs": self._list_transform,
            "AddTags": self._add_tags, "ListTags": self._list_tags, "DeleteTags": self._delete_tags,
            **self._models.operations,
        }  # fmt: skip

    def _create_training(self, call: Call) -> dict[str, Any]:
        request = call.params
        key = (call.region, request["TrainingJobName"])
        if key in self._training:
            raise _in_use("Training job names", "a training job",
                          self._training[key].description["TrainingJobArn"])  # fmt: skip
        if "AlgorithmSpecification" not in request or "StoppingCondition" not in request:
            raise AwsError("ValidationException", "AlgorithmSpecification, ResourceConfig and"
                                                  " StoppingCondition are required")  # fmt: skip
        _check_spot(request)
        self._inputs.require_role(request["RoleArn"], PRINCIPAL)
        for channel in request.get("InputDataConfig", []):
            self._inputs.require_objects(
                channel["DataSource"]["S3DataSource"]["S3Uri"], call.region, request["RoleArn"]
            )
        job = TrainingJob(self._cloud, request, call.region, self._cloud.faults.of_job(call))
        self._training[key] = job
        self._tags[job.description["TrainingJobArn"]] = job.tags
        job.begin()
        return {"TrainingJobArn": job.description["TrainingJobArn"]}

    def _create_transform(self, call: Call) -> dict[str, Any]:
        request = call.params
        key = (call.region, request["TransformJobName"])
        if key in self._transform:
            raise _in_use("Job name", "a job", self._transform[key].description["TransformJobArn"])
        model = self._models.require(call)
        source = request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
        self._inputs.require_objects(source, call.region, model["ExecutionRoleArn"])
        fault = self._cloud.faults.of_job(call)
        job = TransformJob(self._cloud, request, model, call.region, fault)
        self._transform[key] = job
        self._tags[job.description["TransformJobArn"]] = job.tags
        job.begin()
        return {"TransformJobArn": job.description["TransformJobArn"]}

    def _describe_training(self, call: Call) -> dict[str, Any]:
        return copy.deepcopy(self._training_job(call).description)

    def _describe_transform(self, call: Call) -> dict[str, Any]:
        return copy.deepcopy(self._transform_job(call).description)

    def _stop_training(self, call: Call) -> dict[str, Any]:
        _stop(self._training_job(call), "training job")
        return {}

    def _stop_transform(self, call: Call) -> dict[str, Any]:
        _stop(self._transform_job(call), "transform job")
        return {}

    def _list_training(self, call: Call) -> dict[str, Any]:
        facts = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime",
                 "LastModifiedTime", "TrainingJobStatus", "SecondaryStatus")  # fmt: skip
        found = [job.description for key, job in self._training.items() if key[0] == call.region]
        return page_of(call, "TrainingJob", found, facts)

    def _list_transform(self, call: Call) -> dict[str, Any]:
        facts = ("TransformJobName", "TransformJobArn", "CreationTime", "TransformEndTime",
                 "LastModifiedTime", "TransformJobStatus", "FailureReason")  # fmt: skip
        found = [job.description for key, job in self._transform.items() if key[0] == call.region]
        return page_of(call, "TransformJob", found, facts)

    def _training_job(self, call: Call) -> TrainingJob:
        job = self._training.get((call.region, call.params["TrainingJobName"]))
        if job is None:
            raise AwsError("ValidationException", "Requested resource not found.")
        return job

    def _transform_job(self, call: Call) -> TransformJob:
        name = call.params["TransformJobName"]
        job = self._transform.get((call.region, name))
        if job is None:
            raise AwsError("ValidationException", f"Could not find requested job with name: {name}")
        return job

    def _add_tags(self, call: Call) -> dict[str, Any]:
        tags = self._tags_of(call)
        tags.update({tag["Key"]: tag["Value"] for tag in call.params["Tags"]})
        return {"Tags": _as_list(tags)}

    def _list_tags(self, call: Call) -> dict[str, Any]:
        return {"Tags": _as_list(self._tags_of(call))}

    def _delete_tags(self, call: Call) -> dict[str, Any]:
        tags = self._tags_of(call)
        for key in call.params["TagKeys"]:
            tags.pop(key, None)
        return {}

    def _tags_of(self, call: Call) -> dict[str, str]:
        arn = call.params["ResourceArn"]
        if arn not in self._tags:
            raise AwsError("ValidationException", f"Could not find resource {arn}")
        return self._tags[arn]


def _in_use(what: str, noun: str, arn: str) -> AwsError:
    return AwsError(
        "ResourceInUse",
        f"{what} must be unique within an AWS account and region, and {noun} with this name"
        f" already exists ({arn})",
    )


def _check_spot(request: Mapping[str, Any]) -> None:
    condition = request["StoppingCondition"]
    runtime, wait = (
        condition.get("MaxRuntimeInSeconds", 86400),
        condition.get("MaxWaitTimeInSeconds"),
    )
    if request.get("EnableManagedSpotTraining") and (wait is None or wait < runtime):
        raise AwsError(
            "ValidationException",
            "Invalid MaxWaitTimeInSeconds. It must be present and"
            " be greater than or equal to MaxRuntimeInSeconds",
        )


def _stop(job: TrainingJob | TransformJob, noun: str) -> None:
    if job.state != "InProgress":
        raise AwsError(
            "ValidationException",
            f"The request was rejected because the {noun} is in status {job.state}.",
        )
    job.ask_to_stop()


def _as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
