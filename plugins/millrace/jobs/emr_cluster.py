"""Transient EMR clusters: each is made for one job, and found again by its name."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from millrace.jobs.emr_step import STATES as STEP_STATES
from millrace.jobs.emr_step import page_of
from millrace.jobs.job import Job, Lines, Request, State, Status
from millrace.lake import Store
from millrace.lake.lease import lease

log = logging.getLogger(__name__)

LOOK_BACK = timedelta(days=7)  # how old a cluster may be that is found by its name
STATES = {
    "STARTING": State.WAITING,
    "BOOTSTRAPPING": State.WAITING,
    "RUNNING": State.RUNNING,
    "WAITING": State.RUNNING,
    "TERMINATING": State.STOPPING,
    "TERMINATED": State.STOPPED,
    "TERMINATED_WITH_ERRORS": State.FAILED,
}
LIVING = (State.WAITING, State.RUNNING)
Create = Callable[[dict[str, Any]], str]


class EmrCluster:
    """Clusters as jobs: a try `<name>-<number>` is a cluster of that name.

    `Request.body` holds what RunJobFlow takes, without `Name`.

    Args:
        client: boto3's client of EMR.
        create: makes a cluster of a request and gives its id; by default with the client.
    """

    unique_names = False
    patience = 0.0

    def __init__(self, client: Any, create: Create | None = None):
        self.client = client
        self._create = create or (lambda body: str(client.run_job_flow(**body)["JobFlowId"]))

    def place(self, store: Store, request: Request, *, anew: bool = False) -> tuple[Job, bool]:
        """The cluster to do the work on, and whether it was there: one that lives, or one whose
        step has done the work; made where there is none. Two callers at once get the same.

        Args:
            anew: take none whose step has done the work already.
        """
        with lease(store, f"jobs/{request.name}"):
            found = self.find(request.name)
            if found and (found[1].state in LIVING or (not anew and self._is_done(found[0]))):
                return found[0], True
            number = found[0].number + 1 if found else 1
            return self.start(request, number), False

    def find(self, name: str, home: str = "") -> tuple[Job, Status] | None:
        """The latest try, from a listing of the clusters of the last seven days."""
        tries = self._tries(name)
        return max(tries, key=lambda one: one[0].number) if tries else None

    def living(self, name: str) -> list[Job]:
        """Every cluster of this name that is not ending."""
        return [job for job, status in self._tries(name) if status.state in LIVING]

    def siblings(self, cluster: str) -> list[Job]:
        """The living clusters that were made for the same work as the one of this id."""
        name = self.client.describe_cluster(ClusterId=cluster)["Cluster"]["Name"]
        found = self.living(name.rpartition("-")[0])
        return [job for job in found if job.id != cluster]

    def start(self, request: Request, number: int) -> Job:
        """Make one cluster, whose steps are those of the request; keep one where two were made.

        botocore calls again where an answer was lost, and AWS then makes a second one.
        """
        name = f"{request.name}-{number}"
        made = Job(request.name, number, self._create({**request.body_of(number), "Name": name}))
        twins = [job for job in self.living(request.name) if job.number == number and job != made]
        for twin in twins:
            log.warning("%s was made twice; terminating %s.", name, twin.id)
            self.stop(twin)
        return made

    def poll(self, jobs: Sequence[Job]) -> dict[Job, Status]:
        found = {}
        for job in jobs:
            try:
                cluster = self.client.describe_cluster(ClusterId=job.id)["Cluster"]
            except self.client.exceptions.InvalidRequestException:
                continue
            found[job] = _status(cluster)
        return found

    def logs(self, job: Job, cursor: Mapping[str, Any]) -> Lines:
        """Nothing: its steps have logs."""
        return Lines(complete=True)

    def stop(self, job: Job) -> None:
        self.client.terminate_job_flows(JobFlowIds=[job.id])

    def tidy(self, job: Job) -> None:
        """Nothing was made for a cluster that outlives it."""

    def link(self, job: Job) -> str:
        """The cluster's page."""
        return page_of(self.client.meta.region_name, job.id)

    def _tries(self, name: str) -> list[tuple[Job, Status]]:
        pages = self.client.get_paginator("list_clusters").paginate(
            CreatedAfter=datetime.now(UTC) - LOOK_BACK
        )
        return [
            (Job(name, int(match[1]), cluster["Id"]), _status(cluster))
            for page in pages
            for cluster in page["Clusters"]
            if (match := re.fullmatch(re.escape(name) + r"-(\d+)", cluster["Name"]))
        ]

    def _is_done(self, job: Job) -> bool:
        """Whether a step of a cluster that has ended, or is ending, succeeded."""
        pages = self.client.get_paginator("list_steps").paginate(ClusterId=job.id)
        states = [step["Status"]["State"] for page in pages for step in page["Steps"]]
        return any(STEP_STATES.get(state) is State.SUCCEEDED for state in states)


def _status(cluster: Mapping[str, Any]) -> Status:
    """What DescribeCluster, or a listing, says of a cluster."""
    facts = cluster["Status"]
    why = facts.get("StateChangeReason", {})
    reason = " ".join(part for part in (why.get("Code"), why.get("Message")) if part)
    return Status(STATES.get(facts["State"], State.RUNNING), facts["State"], reason)
