"""Steps of an EMR cluster."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from millrace.jobs.job import Job, Lines, NameTaken, Request, State, Status
from millrace.jobs.s3_logs import Reader, are_final, stored_logs

log = logging.getLogger(__name__)

AT_ONCE = 10  # the most ids that ListSteps takes
STATES = {
    "PENDING": State.WAITING,
    "RUNNING": State.RUNNING,
    "CANCEL_PENDING": State.STOPPING,
    "COMPLETED": State.SUCCEEDED,
    "CANCELLED": State.STOPPED,
    "FAILED": State.FAILED,
    "INTERRUPTED": State.STOPPED,
}
DEAD = {"TERMINATED": State.STOPPED, "TERMINATED_WITH_ERRORS": State.FAILED}
STEP_LOGS = ("controller", "stderr", "stdout")
NEEDED = {"controller", "stderr"}  # without them a log is not whole; stdout may stay empty
CONTAINER_LOGS = ("stderr", "stdout")
APPLICATION = re.compile(r"\bapplication_\d+_\d+\b")
APPLICATIONS = 5  # the most of one step whose containers' logs are read
NO_LOGS = "[no log: the cluster was created without LogUri]"


class EmrStep:
    """Steps of running clusters; `home` is the cluster's id.

    `Request.body` holds what AddJobFlowSteps takes for one step, without `Name`. EMR gives a step
    no time limit.

    Args:
        client: boto3's client of EMR.
        s3: boto3's client of S3, where the logs land.
    """

    unique_names = False
    patience = 360.0  # seconds; the logs are put on S3 every five minutes

    def __init__(self, client: Any, s3: Any):
        self.client, self.s3 = client, s3

    def find(self, name: str, home: str = "") -> tuple[Job, Status] | None:
        """The latest try, from a listing of all steps of the cluster.

        Of two steps of one name the older is the one to keep, see `start`.
        """
        try:
            steps = self._steps(home)
        except self.client.exceptions.InvalidRequestException:  # the cluster is long gone
            return None
        tries = [
            (Job(name, int(match[1]), step["Id"], home), step)
            for step in reversed(steps)
            if (match := re.fullmatch(re.escape(name) + r"-(\d+)", step["Name"]))
        ]
        if not tries:
            return None
        job, step = max(tries, key=lambda one: one[0].number)
        return job, _status(step, self._death(home, [step]))

    def start(self, request: Request, number: int) -> Job:
        name, home = f"{request.name}-{number}", request.home
        if any(step["Name"] == name for step in self._steps(home)):
            raise NameTaken(name)
        answer = self.client.add_job_flow_steps(
            JobFlowId=home, Steps=[{**request.body_of(number), "Name": name}]
        )
        job = Job(request.name, number, answer["StepIds"][0], home)
        # Where botocore called again, the answer it missed may have been that of a started step.
        if answer["ResponseMetadata"].get("RetryAttempts"):
            return self._only(job)
        return job

    def poll(self, jobs: Sequence[Job]) -> dict[Job, Status]:
        """One call for ten steps of a cluster, and one for the cluster until they succeed."""
        found: dict[Job, Status] = {}
        for home in {job.home: None for job in jobs}:
            here = {job.id: job for job in jobs if job.home == home}
            ids = list(here)
            groups = [ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE)]
            steps = [step for group in groups for step in self._known_steps(home, group)]
            death = self._death(home, steps)
            found |= {here[step["Id"]]: _status(step, death) for step in steps}
        return found

    def logs(self, job: Job, cursor: Mapping[str, Any]) -> Lines:
        """New lines of the step's own logs, then those of the containers of its applications."""
        uri = cursor["uri"] if "uri" in cursor else self._log_uri(job.home)
        if not uri:
            return Lines(() if "uri" in cursor else (NO_LOGS,), {"uri": ""})
        applications = list(cursor.get("applications", ()))

        def hear(text: str) -> None:
            for application in APPLICATION.findall(text):
                if application not in applications and len(applications) < APPLICATIONS:
                    applications.append(application)

        ended = cache(lambda: self._ended(job))
        reader = Reader(self.s3, cursor.get("places", {}), ended)
        logs = stored_logs(self.s3, f"{uri}/{job.home}/steps/{job.id}", STEP_LOGS)
        for name in (name for name in STEP_LOGS if name in logs):
            reader.read(name, logs[name], hear)
        complete = logs.keys() >= NEEDED and are_final(logs, ended())
        for application in applications:
            folder = f"{uri}/{job.home}/containers/{application}"
            logs = stored_logs(self.s3, folder, CONTAINER_LOGS)
            for path in sorted(logs, key=_driver_first):
                reader.read(path.replace("/", " "), logs[path])
            complete = complete and are_final(logs, ended())
        places = {"uri": uri, "applications": applications, "places": reader.places}
        return Lines(reader.lines, places, complete)

    def stop(self, job: Job) -> None:
        self._cancel(job.home, [job.id])

    def tidy(self, job: Job) -> None:
        """Nothing was made for a step that outlives it."""

    def link(self, job: Job) -> str:
        """The cluster's page, which lists its steps: a step has no page of its own."""
        return page_of(self.client.meta.region_name, job.home)

    def _steps(self, cluster: str, **which: Any) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("list_steps").paginate(ClusterId=cluster, **which)
        return [step for page in pages for step in page["Steps"]]

    def _known_steps(self, cluster: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The steps of these ids; EMR refuses the whole call where it does not know one."""
        try:
            return self._steps(cluster, StepIds=list(ids))
        except self.client.exceptions.InvalidRequestException:
            if len(ids) == 1:
                return []
            return [step for one in ids for step in self._known_steps(cluster, [one])]

    def _only(self, job: Job) -> Job:
        """Keep the oldest step of this name and cancel its twins."""
        twins = [step["Id"] for step in self._steps(job.home) if step["Name"] == str(job)]
        if len(twins) < 2:
            return job
        self._cancel(job.home, twins[:-1])
        return Job(job.name, job.number, twins[-1], job.home)

    def _cancel(self, cluster: str, ids: Sequence[str]) -> None:
        try:
            answer = self.client.cancel_steps(
                ClusterId=cluster, StepIds=list(ids), StepCancellationOption="TERMINATE_PROCESS"
            )
        except self.client.exceptions.InvalidRequestException:  # the cluster or a step is gone
            return
        for step in answer["CancelStepsInfoList"]:
            if step["Status"] == "FAILED":
                log.warning("EMR did not cancel %s: %s", step["StepId"], step.get("Reason"))

    def _death(self, cluster: str, steps: Sequence[Mapping[str, Any]]) -> tuple[State, str] | None:
        """How the cluster ended and why, None while it lives; asked where it tells about steps."""
        if all(step["Status"]["State"] == "COMPLETED" for step in steps):
            return None
        status = self.client.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]
        if status["State"] not in DEAD:
            return None
        why = status.get("StateChangeReason", {})
        said = " ".join(part for part in (why.get("Code"), why.get("Message")) if part)
        return DEAD[status["State"]], f"the cluster {cluster} is {status['State']}: {said}"

    def _log_uri(self, cluster: str) -> str:
        described: str = self.client.describe_cluster(ClusterId=cluster)["Cluster"].get("LogUri")
        return (described or "").rstrip("/")

    def _ended(self, job: Job) -> datetime | None:
        """When a step ended, None while it has not."""
        step = self.client.describe_step(ClusterId=job.home, StepId=job.id)["Step"]
        ended: datetime | None = step["Status"].get("Timeline", {}).get("EndDateTime")
        return ended


def page_of(region: str, cluster: str) -> str:
    """Address of a cluster's page in the console: its steps, its history server, its machines."""
    return (
        f"https://{region}.console.aws.amazon.com/emr/home"
        f"?region={region}#/clusterDetails/{cluster}"
    )


def _status(step: Mapping[str, Any], death: tuple[State, str] | None) -> Status:
    """A step that neither succeeded nor says why it failed has ended as its cluster did."""
    facts = step["Status"]
    word, reason = facts["State"], _reason(facts)
    state = STATES.get(word, State.RUNNING)
    if death and not (state is State.SUCCEEDED or (state is State.FAILED and reason)):
        state = state if state is State.FAILED else death[0]
        reason = " | ".join(part for part in (reason, death[1]) if part)
    return Status(state, word, reason, _seconds(facts.get("Timeline", {}), state))


def _seconds(timeline: Mapping[str, datetime], state: State) -> float | None:
    begun, ended = timeline.get("StartDateTime"), timeline.get("EndDateTime")
    if begun is None or (state.ended and ended is None):
        return None
    return ((ended or datetime.now(UTC)) - begun).total_seconds()


def _reason(facts: Mapping[str, Any]) -> str:
    """EMR's words for why a step failed: its reason, the error it found, and where it found it."""
    failure = facts.get("FailureDetails", {})
    parts = [failure.get("Reason"), failure.get("Message"), failure.get("LogFile")]
    said = facts.get("StateChangeReason", {}).get("Message")
    return " | ".join(part for part in (*parts, said) if part)


def _driver_first(path: str) -> tuple[bool, str]:
    """Sorts containers: the first of an application is its master, and in it the driver."""
    return not path.rpartition("/")[0].endswith("_000001"), path
