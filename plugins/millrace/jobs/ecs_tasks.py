"""What became of the tasks of a deployment that stopped: why, and their last lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from millrace.aws import ecs
from millrace.jobs.causes import cause_of
from millrace.jobs.job import Job

TAIL = 20  # last lines of a stopped container that are told
LOOKED_AT = 500  # and among which the cause is looked for: each health check leaves one


def stopped_tasks(client: Any, job: Job) -> Iterator[dict[str, Any]]:
    """The tasks of a deployment that have stopped; ECS knows them for an hour."""
    cluster, _, name = job.home.partition("/")
    listed = client.list_tasks(cluster=cluster, serviceName=name, desiredStatus="STOPPED")
    if arns := listed["taskArns"]:
        tasks = client.describe_tasks(cluster=cluster, tasks=arns)["tasks"]
        yield from (
            task for task in tasks
            if task["taskDefinitionArn"] == job.id and task["lastStatus"] == "STOPPED"
        )  # fmt: skip


def end_of(
    logs: Any, service: Mapping[str, Any], definition: Mapping[str, Any], task: Mapping[str, Any]
) -> list[str]:
    """Why a task stopped, and the last lines of its container.

    Args:
        logs: boto3's client of CloudWatch Logs.
    """
    name = task["taskArn"].rpartition("/")[2][:8]
    said = last_lines(logs, service, definition, task, TAIL)
    return [
        f"task {name} stopped: {ecs.stopped_because(task)}",
        *(f"task {name} | {line}" for line in said),
    ]


def why_stopped(
    client: Any, logs: Any, service: Mapping[str, Any], definition: Mapping[str, Any], job: Job
) -> str:
    """Why one of a deployment's tasks stopped, with what tells most of its lines; may be empty."""
    stopped = ""
    for task in stopped_tasks(client, job):
        stopped = ecs.stopped_because(task)
        if said := last_lines(logs, service, definition, task, LOOKED_AT):
            return f"{stopped}; it wrote last: {cause_of(said)}"
    return stopped


def last_lines(
    logs: Any, service: Mapping[str, Any], definition: Mapping[str, Any], task: Mapping[str, Any],
    count: int,
) -> list[str]:  # fmt: skip
    """What the container behind the load balancer wrote last; nothing where it has no log."""
    container = ecs.serving_container(service, definition)
    place = ecs.log_stream(definition, container, task["taskArn"])
    if place is None:
        return []
    group, stream = place
    try:
        events = logs.get_log_events(
            logGroupName=group, logStreamName=stream, limit=count, startFromHead=False
        )["events"]
    except logs.exceptions.ResourceNotFoundException:  # it has written nothing
        return []
    return [each["message"] for each in events]
