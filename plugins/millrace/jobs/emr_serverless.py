"""Job runs of an EMR Serverless application."""

from __future__ import annotations

import logging
import math
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from millrace.jobs.job import Job, Lines, NameTaken, Request, State, Status
from millrace.jobs.s3_logs import Reader, stored_logs

log = logging.getLogger(__name__)

FEW = 5  # runs of an application that are asked for one by one; more are told from a listing
PAGE = 50  # the most runs of one page of a listing
LOOK_BACK = timedelta(days=30)  # how old a run may be that is found by its name
LEAST_MINUTES = 5  # the shortest time limit that the service accepts
STATES = {
    "SUBMITTED": State.WAITING,
    "PENDING": State.WAITING,
    "SCHEDULED": State.WAITING,
    "QUEUED": State.WAITING,
    "RUNNING": State.RUNNING,
    "CANCELLING": State.STOPPING,
    "SUCCESS": State.SUCCEEDED,
    "FAILED": State.FAILED,
    "CANCELLED": State.STOPPED,
}
GOING = [word for word, state in STATES.items() if not state.ended]
LOGS = ("stderr", "stdout")
NO_LOGS = "[no log: the job run was started without s3MonitoringConfiguration.logUri]"


class EmrServerless:
    """Job runs; `home` is the application's id.

    `Request.body` holds what StartJobRun takes, without `name`, `applicationId` and `clientToken`.
    The service keeps the time limit too, in whole minutes.

    Args:
        client: boto3's client of EMR Serverless.
        s3: boto3's client of S3, where the logs land.
    """

    unique_names = False  # of two copies that start a run at once the client token makes one
    patience = 120.0  # seconds; the logs are put on S3 when the run ends

    def __init__(self, client: Any, s3: Any):
        self.client, self.s3 = client, s3

    def find(self, name: str, home: str = "") -> tuple[Job, Status] | None:
        """The latest try, from a listing of the application's runs of the last 30 days."""
        tries = [
            Job(name, int(match[1]), run["id"], home)
            for run in self._runs(home, createdAtAfter=datetime.now(UTC) - LOOK_BACK)
            if (match := re.fullmatch(re.escape(name) + r"-(\d+)", run.get("name", "")))
        ]
        if not tries:
            return None
        latest = max(tries, key=lambda job: job.number)
        run = self._run(latest)
        return (latest, _status(run)) if run else None

    def start(self, request: Request, number: int) -> Job:
        name = f"{request.name}-{number}"
        minutes = max(LEAST_MINUTES, math.ceil(request.limit / 60))
        body = {"executionTimeoutMinutes": minutes, **request.body_of(number)}
        try:
            answer = self.client.start_job_run(
                applicationId=request.home, clientToken=client_token(name), name=name, **body
            )
        except self.client.exceptions.ConflictException as error:  # the token was used before
            raise NameTaken(f"{name}: {error}") from error
        return Job(request.name, number, answer["jobRunId"], request.home)

    def poll(self, jobs: Sequence[Job]) -> dict[Job, Status]:
        """A call for each of a few runs; of many, one listing of those that have not ended.

        A run told from a listing has no seconds.
        """
        found: dict[Job, Status] = {}
        for home in {job.home: None for job in jobs}:
            here = [job for job in jobs if job.home == home]
            going = self._going(home) if len(here) > FEW else {}
            for job in here:
                if run := going.get(job.id) or self._run(job):
                    found[job] = _status(run)
        return found

    def logs(self, job: Job, cursor: Mapping[str, Any]) -> Lines:
        """New lines of the driver, then of the executors."""
        uri = cursor["uri"] if "uri" in cursor else self._log_uri(job)
        if not uri:
            return Lines(() if "uri" in cursor else (NO_LOGS,), {"uri": ""})
        reader = Reader(self.s3, cursor.get("places", {}), cache(lambda: self._ended(job)))
        folder = f"{uri}/applications/{job.home}/jobs/{job.id}"
        logs = stored_logs(self.s3, folder, LOGS)
        for path in sorted(logs, key=_in_order):
            reader.read(_source(path), logs[path])
        return Lines(reader.lines, {"uri": uri, "places": reader.places})

    def stop(self, job: Job) -> None:
        errors = self.client.exceptions
        try:
            self.client.cancel_job_run(applicationId=job.home, jobRunId=job.id)
        except (errors.ResourceNotFoundException, errors.ValidationException) as error:
            log.info("%s is unknown or has ended: %s", job, error)

    def tidy(self, job: Job) -> None:
        """Nothing was made for a run that outlives it."""

    def link(self, job: Job) -> str:
        """The console's page of EMR Serverless.

        The run's own page is in EMR Studio, under an address that no call gives.
        """
        region = self.client.meta.region_name
        return f"https://{region}.console.aws.amazon.com/emr/home?region={region}#/serverless"

    def _runs(self, application: str, **which: Any) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("list_job_runs").paginate(
            applicationId=application, PaginationConfig={"PageSize": PAGE}, **which
        )
        try:
            return [run for page in pages for run in page["jobRuns"]]
        except self.client.exceptions.ResourceNotFoundException:
            return []  # starting a run says so

    def _going(self, application: str) -> dict[str, dict[str, Any]]:
        """The runs that have not ended, by their ids."""
        return {run["id"]: run for run in self._runs(application, states=GOING)}

    def _run(self, job: Job) -> dict[str, Any] | None:
        try:
            answer = self.client.get_job_run(applicationId=job.home, jobRunId=job.id)
        except self.client.exceptions.ResourceNotFoundException:
            return None
        run: dict[str, Any] = answer["jobRun"]
        return run

    def _log_uri(self, job: Job) -> str:
        """Where a run's logs land: its own configuration, or else its application's."""
        run = self._run(job) or {}
        uri = _s3_of(run.get("configurationOverrides", {}))
        if not uri:
            described = self.client.get_application(applicationId=job.home)["application"]
            uri = _s3_of(described)
        return uri.rstrip("/")

    def _ended(self, job: Job) -> datetime | None:
        """When a run ended, None while it has not."""
        run = self._run(job) or {}
        if not _state(run).ended:
            return None
        ended: datetime = run.get("endedAt") or run["updatedAt"]
        return ended


def client_token(name: str) -> str:
    """The same for the same try of the same job: the service starts one run for it."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"millrace:{name}"))


def _s3_of(settings: Mapping[str, Any]) -> str:
    monitoring = settings.get("monitoringConfiguration", {})
    uri: str = monitoring.get("s3MonitoringConfiguration", {}).get("logUri", "")
    return uri


def _state(run: Mapping[str, Any]) -> State:
    return STATES.get(run.get("state", ""), State.RUNNING)


def _status(run: Mapping[str, Any]) -> Status:
    """What GetJobRun, or a listing, says of a run."""
    state = _state(run)
    reason = run.get("stateDetails", "") if state in (State.FAILED, State.STOPPED) else ""
    seconds: float | None = None
    if state.ended:
        seconds = run.get("totalExecutionDurationSeconds")
    elif begun := run.get("startedAt"):
        seconds = (datetime.now(UTC) - begun).total_seconds()
    return Status(state, run["state"], reason, seconds)


def _in_order(path: str) -> list[str]:
    """Sorts `SPARK_DRIVER/stderr` before `SPARK_EXECUTOR/2/stderr`, and that before 10."""
    return [part.zfill(9) for part in path.split("/")]


def _source(path: str) -> str:
    """`driver stderr` for `SPARK_DRIVER/stderr`, `executor-2 stdout` for that of an executor."""
    folder, _, name = path.rpartition("/")
    return f"{folder.removeprefix('SPARK_').lower().replace('/', '-')} {name}"
