"""Training jobs: their states, from submission to the end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.integration.aws.standin.account import ACCOUNT
from tests.integration.aws.standin.faults import Fault
from tests.integration.aws.standin.jobs import Expired, Failed, Job, Stopped
from tests.integration.aws.standin.script_mode import Interrupted, ScriptMode

if TYPE_CHECKING:
    from tests.integration.aws.standin.cloud import Cloud

SPOT_SHARE = 0.3  # of the time, for which a spot job is billed
LONGEST = 86400  # seconds a job may run where it says nothing
MESSAGES = {  # of the secondary states, as AWS words them
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading the training image",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "Interrupted": "Spot instance was interrupted",
}
FAULTS = {
    "capacity": "CapacityError: Unable to provision requested ML compute capacity due to"
    " InsufficientInstanceCapacity error.",
    "internal_error": "InternalServerError: We encountered an internal error. Please try again.",
    "image": "ClientError: Cannot find repository: {repository} in registry ID: {registry} Please"
    " check if your ECR repository exists and role {role} has proper pull permissions for"
    " SageMaker: ecr:BatchCheckLayerAvailability, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer",
}


class TrainingJob(Job):
    """One training job; `description` is what DescribeTrainingJob answers."""

    service = "sagemaker-training"

    def __init__(self, cloud: Cloud, request: Mapping[str, Any], region: str, fault: Fault | None):
        tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
        name = request["TrainingJobName"]
        super().__init__(cloud, name, region, request["RoleArn"], tags, fault)
        self.request = request
        self._script = ScriptMode(self)
        self._trained = 0.0
        self.description: dict[str, Any] = {
            **{key: value for key, value in request.items() if key != "Tags"},
            "TrainingJobArn": f"arn:aws:sagemaker:{region}:{ACCOUNT}:training-job/{name.lower()}",
            "TrainingJobStatus": "InProgress", "SecondaryStatus": "Starting",
            "CreationTime": self.created, "LastModifiedTime": self.created,
            "SecondaryStatusTransitions": [
                {"Status": "Starting", "StartTime": self.created,
                 "StatusMessage": "Starting the training job"}],
        }  # fmt: skip

    @property
    def state(self) -> str:
        return str(self.description["TrainingJobStatus"])

    def enter(self, secondary: str, status: str = "InProgress", **facts: Any) -> None:
        """Move on: the state before ends where this one begins."""
        now = time.time()
        with self.cloud.lock:
            transitions = self.description["SecondaryStatusTransitions"]
            transitions[-1].setdefault("EndTime", now)
            entry = {"Status": secondary, "StartTime": now, "StatusMessage": MESSAGES[secondary]}
            transitions.append(entry)
            final = status in ("Completed", "Failed", "Stopped")
            if final:
                entry["EndTime"] = facts["TrainingEndTime"] = now
                self.ended = now
                facts.update(self._figures())
            self.description.update(facts, TrainingJobStatus=status, SecondaryStatus=secondary,
                                    LastModifiedTime=now)  # fmt: skip

    def break_down(self, reason: str) -> None:
        self.enter("Failed", "Failed", FailureReason=reason)

    def ask_to_stop(self) -> None:
        self.enter("Stopping", "Stopping")
        self.stop_asked.set()

    def run(self) -> None:
        try:
            self.stay("Starting")
            self.enter("Starting")
            self._fail_by_fault()
            final = self._run_script()
            self.enter("Uploading")
            self._upload()
            self.stay("Uploading")
        except Stopped:
            with suppress(ClientError, BotoCoreError):
                self._upload()  # what there is of the model, as SageMaker does
            self.enter("Stopped", "Stopped")
        except Failed as failure:
            self.enter("Failed", "Failed", FailureReason=str(failure))
        except (ClientError, BotoCoreError) as error:
            said = getattr(error, "response", {}).get("Error", {}).get("Message") or str(error)
            self.enter(
                "Failed", "Failed", FailureReason=f"ClientError: Artifact upload failed:{said}"
            )
        else:
            self.enter(final, "Stopped" if final != "Completed" else final)

    def _fail_by_fault(self) -> None:
        reason = FAULTS.get(self.fault.fault) if self.fault else None
        if reason:
            image = self.request["AlgorithmSpecification"].get("TrainingImage", "")
            repository = image.rpartition("/")[2].partition(":")[0]
            raise Failed(reason.format(repository=repository, registry=image.partition(".")[0],
                                       role=self.role))  # fmt: skip

    def _run_script(self) -> str:
        """Download and train, again after each interruption; returns the final state."""
        limit = self.request["StoppingCondition"].get("MaxRuntimeInSeconds", LONGEST)
        while True:
            self.enter("Downloading")
            endless = self.fault and self.fault.fault == "never_ends"
            if not endless:
                self._script.download()
            self.stay("Downloading")
            self.description.setdefault("TrainingStartTime", time.time())
            self.enter("Training")
            began = time.monotonic()
            try:
                if endless:
                    self.stay_for_ever(limit)
                self._script.train(limit - self._trained)
                self.stay("Training")
                return "Completed"
            except Expired:
                return "MaxRuntimeExceeded"
            except Interrupted:
                self.enter("Interrupted")
                self.stay("Interrupted")
                self.enter("Starting")
                self.stay("Starting")
            finally:
                self._trained += time.monotonic() - began

    def _upload(self) -> None:
        if "TrainingStartTime" in self.description and self._script.root.exists():
            uri = self._script.upload()
            with self.cloud.lock:
                self.description["ModelArtifacts"] = {"S3ModelArtifacts": uri}

    def _figures(self) -> dict[str, Any]:
        """Times and metrics of a job that has ended; nothing where no script began."""
        if "TrainingStartTime" not in self.description:
            return {}
        seconds, metrics = max(1, round(self._trained)), self._script.metrics
        spot = self.request.get("EnableManagedSpotTraining", False)
        return {
            "TrainingTimeInSeconds": seconds,
            "BillableTimeInSeconds": max(1, round(seconds * SPOT_SHARE)) if spot else seconds,
            **({"FinalMetricDataList": list(metrics.values())} if metrics else {}),
        }
