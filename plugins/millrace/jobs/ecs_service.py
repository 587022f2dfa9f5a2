"""Deployments of an ECS service."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from millrace.aws import ecs
from millrace.aws.errors import AwsBusy
from millrace.jobs.ecs_tasks import end_of, stopped_tasks, why_stopped
from millrace.jobs.job import Job, Lines, Request, State, Status

log = logging.getLogger(__name__)

LOOK_BACK = 10  # newest revisions of a task definition among which a deployment is found
CATCHING_UP = 10.0  # seconds after which ECS describes a service as it was updated
ENDS_TOLD = 3  # stopped tasks of a deployment whose lines are read; the others end alike


class EcsDeployment:
    """A try is a revision of the service's task definition that the service is updated to; `home`
    is `<cluster>/<service>`.

    `Request.body` holds `tags`, and `pin` (data set and version) or `image`. A revision carries the
    name of its try and the revision that it replaces as tags, so a deployment is found, and taken
    back, by what AWS itself knows. Its log is what the service tells, and the last lines of tasks
    that stopped.

    Args:
        client: boto3's client of ECS.
        logs: boto3's client of CloudWatch Logs.
    """

    unique_names = False
    patience = 10.0  # seconds; the lines of a container that ended may come late

    def __init__(self, client: Any, logs: Any):
        self.client, self.logs_client = client, logs

    def find(self, name: str, home: str = "") -> tuple[Job, Status] | None:
        """The newest revision that carries the name."""
        service = self.known(home)
        if service is None:
            return None  # starting says so
        family = service["taskDefinition"].rpartition("/")[2].rpartition(":")[0]
        newest = self.client.list_task_definitions(
            familyPrefix=family, sort="DESC", maxResults=LOOK_BACK
        )["taskDefinitionArns"]
        for revision in newest:
            said = self.described(revision)[1].get(ecs.DEPLOYMENT, "")
            if match := re.fullmatch(re.escape(name) + r"-(\d+)", said):
                job = Job(name, int(match[1]), revision, home)
                return job, self.status(service, job)
        return None

    def start(self, request: Request, number: int) -> Job:
        """Register the revision and update the service to it.

        Raises:
            AwsBusy: another deployment of the service is going on.
            NotServed: no load balancer forwards to the service.
        """
        service = self.service(request.home)
        if ecs.is_deploying(service):
            going = ecs.primary(service)["taskDefinition"].rpartition("/")[2]
            raise AwsBusy(f"{request.home} is being deployed to {going}; one at a time")
        present = service["taskDefinition"]
        definition, _ = self.described(present)
        body = request.body_of(number)
        tags = {
            **body["tags"], ecs.DEPLOYMENT: f"{request.name}-{number}", ecs.REPLACES: present,
        }  # fmt: skip
        container = ecs.serving_container(service, definition)
        wanted = ecs.revision_request(definition, container, body, tags)
        made = self.client.register_task_definition(**wanted)["taskDefinition"]
        revision: str = made["taskDefinitionArn"]
        log.info("Updating %s from %s to %s.", request.home, short(present), short(revision))
        self.client.update_service(**ecs.update_request(request.home, revision))
        return Job(request.name, number, revision, request.home)

    def poll(self, jobs: Sequence[Job]) -> dict[Job, Status]:
        """A call for each service, and some more for a deployment that has failed."""
        found = {}
        for home, here in groupby(sorted(jobs, key=lambda job: job.home), lambda job: job.home):
            if service := self.known(home):
                found.update({job: self.status(service, job) for job in here})
        return found

    def logs(self, job: Job, cursor: Mapping[str, Any]) -> Lines:
        """New events of the service; the end of each task of the deployment that stopped."""
        service, (definition, _) = self.service(job.home), self.described(job.id)
        seen, ends = set(cursor.get("events", ())), list(cursor.get("ends", ()))
        events = ecs.events_since(service, definition["registeredAt"])
        lines = [
            f"{each['createdAt'].astimezone(UTC):%H:%M:%S} {ecs.plain(each['message'])}"
            for each in events if each["id"] not in seen
        ]  # fmt: skip
        for task in stopped_tasks(self.client, job):
            if task["taskArn"] not in ends and len(ends) < ENDS_TOLD:
                ends.append(task["taskArn"])
                lines += end_of(self.logs_client, service, definition, task)
        done = self.status(service, job).state.ended
        return Lines(lines, {"events": [each["id"] for each in events], "ends": ends}, done)

    def stop(self, job: Job) -> None:
        """Go back to the revision that it replaces; does nothing where it is not on its way."""
        service = self.service(job.home)
        if service["taskDefinition"] != job.id or ecs.is_settled(service):
            log.info("%s has ended.", job)
            return
        before = self.described(job.id)[1][ecs.REPLACES]
        log.warning("Taking %s back from %s to %s.", job.home, short(job.id), short(before))
        self.client.update_service(**ecs.update_request(job.home, before))

    def pinned(self, home: str, dataset: str) -> str:
        """The version of a data set that the service is pinned to, empty where it is not."""
        service = self.service(home)
        definition, _ = self.described(service["taskDefinition"])
        pins = ecs.pins(definition, ecs.serving_container(service, definition))
        return pins.get(dataset, "")

    def tidy(self, job: Job) -> None:
        """A revision that did not do stays, for whoever looks into it; it costs nothing."""

    def link(self, job: Job) -> str:
        """The service's page."""
        cluster, _, service = job.home.partition("/")
        region = self.client.meta.region_name
        return (
            f"https://{region}.console.aws.amazon.com/ecs/v2/clusters/{cluster}/services/{service}"
            f"/deployments?region={region}"
        )

    def service(self, home: str) -> dict[str, Any]:
        """What ECS tells of a service.

        Raises:
            NotServed: there is none.
        """
        if found := self.known(home):
            return found
        cluster, _, name = home.partition("/")
        raise ecs.NotServed(
            f"there is no service {name} in the cluster {cluster}; set MILLRACE_ECS_CLUSTER and"
            " MILLRACE_ECS_SERVICE to one that exists in MILLRACE_AWS_REGION"
        )

    def known(self, home: str) -> dict[str, Any] | None:
        """What ECS tells of a service, None where there is none."""
        cluster, _, name = home.partition("/")
        answer = self.client.describe_services(cluster=cluster, services=[name])
        living = (each for each in answer["services"] if each["status"] != "INACTIVE")
        return next(living, None)

    def described(self, revision: str) -> tuple[dict[str, Any], dict[str, str]]:
        """A task definition and its tags."""
        answer = self.client.describe_task_definition(taskDefinition=revision, include=["TAGS"])
        tags = {each["key"]: each.get("value", "") for each in answer.get("tags", ())}
        return answer["taskDefinition"], tags

    def status(self, service: Mapping[str, Any], job: Job) -> Status:
        """Where the revision of a job stands in its service.

        A circuit breaker's way back is the old revision, complete and steady: what counts is which
        revision it is that is steady. A way back that fails as well is an end too.
        """
        mine = ecs.deployment_of(service, job.id)
        settled = ecs.is_settled(service)
        if mine is not None and mine["status"] == "PRIMARY":
            if mine.get("rolloutState") == "FAILED":
                return self._failure(service, job, mine)
            words = f"{mine['runningCount']} of {mine['desiredCount']} tasks run"
            state = State.SUCCEEDED if settled else State.RUNNING
            return Status(state, words, "", seconds_since(mine["createdAt"]))
        if settled or ecs.primary(service).get("rolloutState") == "FAILED":
            return self._failure(service, job, mine)
        return Status(State.STOPPING, f"going back to {short(service['taskDefinition'])}")

    def _failure(
        self, service: Mapping[str, Any], job: Job, mine: Mapping[str, Any] | None
    ) -> Status:
        """FAILED where ECS gave the deployment up, STOPPED where somebody updated the service."""
        definition, _ = self.described(job.id)
        begun: datetime = definition["registeredAt"]
        events = ecs.events_since(service, begun)
        runs = f"{job.home} runs {short(service['taskDefinition'])}"
        if mine is None or mine["status"] != "PRIMARY":
            runs += f", not {short(job.id)}"
        gave_up = (mine or {}).get("rolloutState") == "FAILED" or any(
            ecs.GAVE_UP.search(each["message"]) for each in events
        )
        if not gave_up and seconds_since(begun) < CATCHING_UP:
            return Status(State.WAITING, "not seen by ECS yet")
        if not gave_up:
            return Status(State.STOPPED, "not in service", runs)
        stopped = why_stopped(self.client, self.logs_client, service, definition, job)
        reason = ecs.reason_of(mine, events, stopped)
        return Status(State.FAILED, "given up by ECS", f"{reason} ({runs})")


def short(revision: str) -> str:
    """`service:5` of the ARN."""
    return revision.rpartition("/")[2]


def seconds_since(moment: datetime) -> float:
    """Of wall-clock time."""
    return (datetime.now(UTC) - moment).total_seconds()
