"""Training and batch transform jobs of SageMaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from millrace.jobs.cloudwatch import read_streams
from millrace.jobs.job import Job, Lines, NameTaken, Request, State, Status
from millrace.jobs.names import PREFIX

FEW = 5  # jobs that are described one by one; more are told from listings of a hundred a page
RECENT = timedelta(minutes=15)  # how long ago a job may have changed to be looked for in a listing
STATES = {
    "Completed": State.SUCCEEDED,
    "Failed": State.FAILED,
    "Stopping": State.STOPPING,
    "Stopped": State.STOPPED,
}
# Secondary states of a training job before its script runs.
NOT_YET = ("Starting", "Pending", "LaunchingMLInstances", "PreparingTrainingStack", "Downloading")


@dataclass(frozen=True)
class Verbs:
    """What SageMaker calls the parts of one kind of job."""

    kind: str
    log_group: str
    page: str

    @property
    def name(self) -> str:
        return f"{self.kind}JobName"

    def operation(self, verb: str) -> str:
        """The client's method, such as `create_training_job`."""
        return f"{verb}_{self.kind.lower()}_job"


TRAINING = Verbs("Training", "/aws/sagemaker/TrainingJobs", "jobs")
TRANSFORM = Verbs("Transform", "/aws/sagemaker/TransformJobs", "transform-jobs")


class SageMakerJobs:
    """One kind of SageMaker's jobs: their names are unique for ever within account and region.

    Args:
        client: boto3's client of SageMaker.
        logs: boto3's client of CloudWatch Logs.
    """

    unique_names = True
    patience = 20.0  # seconds; CloudWatch has the last lines a few seconds after the end
    verbs: Verbs

    def __init__(self, client: Any, logs: Any):
        self.client, self.log_client = client, logs

    def find(self, name: str, home: str = "") -> tuple[Job, Status] | None:
        """The latest try, by asking for one after the other until one is not known."""
        latest, number = None, 1
        while described := self._describe(Job(name, number, f"{name}-{number}")):
            latest = (Job(name, number, f"{name}-{number}"), self._status(described))
            number += 1
        return latest

    def start(self, request: Request, number: int) -> Job:
        job = Job(request.name, number, f"{request.name}-{number}")
        self._create(job, request.body)
        return job

    def poll(self, jobs: Sequence[Job]) -> dict[Job, Status]:
        """Many jobs are told from listings; only those that none has, or a few, are described.

        An ended job that is told from a listing has no reason and no seconds.
        """
        listed = self._listing(StatusEquals="InProgress") if len(jobs) > FEW else {}
        if len(jobs) - sum(job.id in listed for job in jobs) > FEW:
            listed |= self._listing(LastModifiedTimeAfter=datetime.now(UTC) - RECENT)
        found: dict[Job, Status] = {}
        for job in jobs:
            if job.id in listed:
                found[job] = self._listed(listed[job.id])
            elif described := self._describe(job):
                found[job] = self._status(described)
        return found

    def logs(self, job: Job, cursor: Mapping[str, Any]) -> Lines:
        return read_streams(self.log_client, self.verbs.log_group, f"{job.id}/", cursor)

    def stop(self, job: Job) -> None:
        try:
            self._call("stop", **{self.verbs.name: job.id})
        except self.client.exceptions.ClientError as error:  # it has ended, or there is none
            if error.response["Error"]["Code"] not in ("ValidationException", "ResourceNotFound"):
                raise

    def tidy(self, job: Job) -> None:
        """Nothing was made for a job that outlives it."""

    def link(self, job: Job) -> str:
        region = self.client.meta.region_name
        return (
            f"https://{region}.console.aws.amazon.com/sagemaker/home"
            f"?region={region}#/{self.verbs.page}/{job.id}"
        )

    def _call(self, verb: str, **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(self.client, self.verbs.operation(verb))(**arguments)
        return answer

    def _create(self, job: Job, body: Mapping[str, Any]) -> None:
        try:
            self._call("create", **{self.verbs.name: job.id}, **body)
        except self.client.exceptions.ResourceInUse as error:
            raise NameTaken(str(job)) from error

    def _describe(self, job: Job) -> dict[str, Any] | None:
        try:
            return self._call("describe", **{self.verbs.name: job.id})
        except self.client.exceptions.ClientError as error:
            if _is_unknown(error):
                return None
            raise

    def _listing(self, **which: Any) -> dict[str, Mapping[str, Any]]:
        """What the listing says of these of the jobs, by name."""
        pages = self.client.get_paginator(self.verbs.operation("list") + "s").paginate(
            NameContains=PREFIX, PaginationConfig={"PageSize": 100}, **which
        )
        key = f"{self.verbs.kind}JobSummaries"
        return {item[self.verbs.name]: item for page in pages for item in page[key]}

    def _listed(self, summary: Mapping[str, Any]) -> Status:
        """The status of a job, from the little that the listing tells."""
        word = summary[f"{self.verbs.kind}JobStatus"]
        return Status(STATES.get(word, State.RUNNING), word)

    def _status(self, described: Mapping[str, Any]) -> Status:
        raise NotImplementedError


class SageMakerTraining(SageMakerJobs):
    """Training jobs; `Request.body` holds what CreateTrainingJob takes, without the name."""

    verbs = TRAINING

    def _status(self, described: Mapping[str, Any]) -> Status:
        detail = described.get("SecondaryStatus", "")
        state = STATES.get(described["TrainingJobStatus"])
        if state is None:
            state = State.WAITING if detail in NOT_YET else State.RUNNING
        reason = described.get("FailureReason", "")
        if state is State.STOPPED and detail != "Stopped":
            reason = reason or detail  # MaxRuntimeExceeded, MaxWaitTimeExceeded, Interrupted
        seconds = described.get("BillableTimeInSeconds", described.get("TrainingTimeInSeconds"))
        return Status(state, detail, reason, seconds)


class SageMakerTransform(SageMakerJobs):
    """Batch transform jobs; each has a model object of its own name, removed when it has ended.

    `Request.body` holds `model`, what CreateModel takes, and `transform`, what
    CreateTransformJob takes, both without names.
    """

    verbs = TRANSFORM

    def _create(self, job: Job, body: Mapping[str, Any]) -> None:
        self._create_model(job.id, body["model"])
        super()._create(job, {"ModelName": job.id, **body["transform"]})

    def _create_model(self, name: str, body: Mapping[str, Any]) -> None:
        """Make the model; one that is there already is kept if it is the same.

        It is another where the job was refused, for its role say, and the settings were changed.
        """
        try:
            self.client.create_model(ModelName=name, **body)
        except self.client.exceptions.ClientError as error:
            if "already exist" not in str(error):
                raise
            wanted = {key: value for key, value in body.items() if key != "Tags"}
            if _holds(self.client.describe_model(ModelName=name), wanted):
                return
            self.client.delete_model(ModelName=name)
            self.client.create_model(ModelName=name, **body)

    def tidy(self, job: Job) -> None:
        try:
            self.client.delete_model(ModelName=job.id)
        except self.client.exceptions.ClientError as error:
            if not _is_unknown(error):
                raise

    def _status(self, described: Mapping[str, Any]) -> Status:
        word = described["TransformJobStatus"]
        state = STATES.get(word)
        begun, ended = described.get("TransformStartTime"), described.get("TransformEndTime")
        if state is None:
            state = State.RUNNING if begun else State.WAITING
        seconds = ((ended or datetime.now(UTC)) - begun).total_seconds() if begun else None
        return Status(state, word, described.get("FailureReason", ""), seconds)

    def _listed(self, summary: Mapping[str, Any]) -> Status:
        """SageMaker sets a transform job no limit of time, so whoever waits has to: its seconds.

        The listing has the time of the request only, some minutes before the start.
        """
        seconds = (datetime.now(UTC) - summary["CreationTime"]).total_seconds()
        return replace(super()._listed(summary), seconds=seconds)


def _holds(found: Any, wanted: Any) -> bool:
    """Whether everything wanted is found; SageMaker's answers hold defaults besides."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        return all(_holds(found.get(key), value) for key, value in wanted.items())
    return bool(found == wanted)


def _is_unknown(error: Any) -> bool:
    """Whether SageMaker says that it has no such job or model: it has no error code for it."""
    facts = error.response["Error"]
    said = facts.get("Message", "").lower()
    return facts["Code"] == "ResourceNotFound" or (
        facts["Code"] == "ValidationException"
        and any(words in said for words in ("not found", "could not find", "does not exist"))
    )
