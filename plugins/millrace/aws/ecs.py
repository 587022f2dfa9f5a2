"""What Amazon ECS is asked to do, and what its answers mean: pure.

A deployment pins the version of one data set's model in the task definition of the service, or
gives the service another image. The container reads `MILLRACE_MODELS`, such as
`titanic=3,fruits=12`, and `MILLRACE_RELEASE`, the tag of its image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from millrace.errors import MillraceError

MODELS, RELEASE = "MILLRACE_MODELS", "MILLRACE_RELEASE"
OTHERS = "*"  # in MODELS: every other data set that has a champion, as where it names none
DEPLOYMENT, REPLACES = "deployment", "replaces"  # tags of a task definition
COPIED = (
    "family", "taskRoleArn", "executionRoleArn", "networkMode", "containerDefinitions", "volumes",
    "placementConstraints", "requiresCompatibilities", "cpu", "memory", "pidMode", "ipcMode",
    "proxyConfiguration", "ephemeralStorage", "runtimePlatform", "enableFaultInjection",
)  # fmt: skip
"""What DescribeTaskDefinition tells and RegisterTaskDefinition takes."""
GAVE_UP = re.compile(r"deployment failed|rolling back to")
TELLING = re.compile(r"is unhealthy|failed container health checks|unable to|deployment failed")
"""The events of a service that tell why a deployment does not come to an end."""


class NotServed(MillraceError):
    """A service cannot be deployed to; the message says what to change."""


def revision_request(
    definition: Mapping[str, Any], container: str, change: Mapping[str, Any],
    tags: Mapping[str, str],
) -> dict[str, Any]:  # fmt: skip
    """RegisterTaskDefinition: the present definition with one change.

    Args:
        definition: what DescribeTaskDefinition tells of the present one.
        container: name of the container that serves the models.
        change: `pin`, a data set and a version, or `image`, the address of an image with its tag.
    """
    body = {key: definition[key] for key in COPIED if key in definition}
    body["containerDefinitions"] = [
        _changed(each, change) if each["name"] == container else each
        for each in definition["containerDefinitions"]
    ]
    return {**body, "tags": [{"key": key, "value": value} for key, value in tags.items()]}


def release_of(image: str) -> str:
    """What a release is called: the tag of its image, or the digest."""
    return re.split(r"[:@]", image.rpartition("/")[2], maxsplit=1)[1]


def update_request(home: str, revision: str) -> dict[str, Any]:
    """UpdateService: run a revision, also where it is the one that runs.

    Args:
        home: `<cluster>/<service>`.
    """
    cluster, _, service = home.partition("/")
    return {
        "cluster": cluster, "service": service, "taskDefinition": revision,
        "forceNewDeployment": True,
    }  # fmt: skip


def pins(definition: Mapping[str, Any], container: str) -> dict[str, str]:
    """The data sets that a definition names, each with its version or "" for the champion; `*`
    among them stands for all others.
    """
    said = variables_of(definition, container).get(MODELS, "")
    named = (part.strip().partition("=") for part in said.split(",") if part.strip())
    return {dataset: version for dataset, _, version in named}


def variables_of(definition: Mapping[str, Any], container: str) -> dict[str, str]:
    """The environment of a container."""
    found = next(each for each in definition["containerDefinitions"] if each["name"] == container)
    return {each["name"]: each.get("value", "") for each in found.get("environment", ())}


def _changed(container: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    if "image" in change:
        made = {**container, "image": change["image"]}
        return _with_variable(made, RELEASE, release_of(change["image"]))
    dataset, version = change["pin"]
    named = pins({"containerDefinitions": [container]}, container["name"]) or {OTHERS: ""}
    found = {**named, dataset: version}
    text = ",".join(f"{name}={pinned}" if pinned else name for name, pinned in found.items())
    return _with_variable(container, MODELS, text)


def _with_variable(container: Mapping[str, Any], name: str, value: str) -> dict[str, Any]:
    others = [each for each in container.get("environment", ()) if each["name"] != name]
    return {**container, "environment": [*others, {"name": name, "value": value}]}


def serving_container(service: Mapping[str, Any], definition: Mapping[str, Any]) -> str:
    """The container that the load balancer forwards to.

    Raises:
        NotServed: the service has no load balancer, or no such container.
    """
    names = [each["name"] for each in definition["containerDefinitions"]]
    for balancer in service.get("loadBalancers", ()):
        if balancer.get("containerName") in names:
            return str(balancer["containerName"])
    raise NotServed(
        f"the service {service['serviceName']} has no load balancer that forwards to one of its"
        f" containers ({', '.join(names)}); give it a target group"
    )


def primary(service: Mapping[str, Any]) -> Mapping[str, Any]:
    """The deployment that the service is, or comes, to."""
    found: Mapping[str, Any] = next(
        each for each in service["deployments"] if each["status"] == "PRIMARY"
    )
    return found


def is_settled(service: Mapping[str, Any]) -> bool:
    """Whether its one deployment is complete, and as many tasks run as are wanted.

    `rolloutState` is absent where no rolling update is ECS's own matter.
    """
    one = primary(service)
    return (
        len(service["deployments"]) == 1
        and one.get("rolloutState", "COMPLETED") == "COMPLETED"
        and one["runningCount"] == one["desiredCount"]
    )


def is_deploying(service: Mapping[str, Any]) -> bool:
    """Whether ECS is on its way from one revision to another; a service whose tasks die is not."""
    return len(service["deployments"]) > 1 or primary(service).get("rolloutState") == "IN_PROGRESS"


def deployment_of(service: Mapping[str, Any], revision: str) -> Mapping[str, Any] | None:
    """The deployment of a revision, None where the service holds none."""
    return next(
        (each for each in service["deployments"] if each["taskDefinition"] == revision), None
    )


def events_since(service: Mapping[str, Any], moment: datetime) -> list[Mapping[str, Any]]:
    """What a service has told since a moment, oldest first; ECS keeps the last hundred."""
    return [each for each in reversed(service.get("events", ())) if each["createdAt"] >= moment]


def reason_of(
    deployment: Mapping[str, Any] | None, events: Sequence[Mapping[str, Any]], stopped: str
) -> str:
    """Why a deployment has failed, as ECS tells it.

    Args:
        events: since it began.
        stopped: why one of its tasks stopped, empty where none did.
    """
    told = [plain(each["message"]) for each in events if TELLING.search(each["message"])]
    unhealthy = [each for each in told if "deployment failed" not in each]
    parts = [(deployment or {}).get("rolloutStateReason", ""), stopped, *unhealthy[-1:]]
    return "; ".join(part.rstrip(".") for part in parts if part) or "; ".join(told[-1:])


def plain(message: str) -> str:
    """An event without the name of the service, which begins every one."""
    return re.sub(r"^\(service [^)]*\)\s*", "", message)


def stopped_because(task: Mapping[str, Any]) -> str:
    """Why a task stopped: ECS's words, with the exit codes of its containers."""
    codes = [
        f"container {each['name']}: " + " ".join(
            part for part in (f"exit code {each['exitCode']}" if "exitCode" in each else "",
                              each.get("reason", "")) if part
        )
        for each in task.get("containers", ()) if each.get("exitCode") or each.get("reason")
    ]  # fmt: skip
    return ", ".join([task.get("stoppedReason", "stopped"), *codes])


def log_stream(definition: Mapping[str, Any], container: str, task: str) -> tuple[str, str] | None:
    """Group and stream of a container's log in CloudWatch, None where it has none there."""
    found = next(each for each in definition["containerDefinitions"] if each["name"] == container)
    options = found.get("logConfiguration", {}).get("options", {})
    if "awslogs-group" not in options or "awslogs-stream-prefix" not in options:
        return None
    stream = f"{options['awslogs-stream-prefix']}/{container}/{task.rpartition('/')[2]}"
    return options["awslogs-group"], stream
