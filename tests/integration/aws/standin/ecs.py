"""ECS: the control plane of task definitions, services and their tasks; clusters are moto's."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

from moto.ecs.models import ecs_backends

from tests.integration.aws.standin.account import ACCOUNT
from tests.integration.aws.standin.answers import AwsError
from tests.integration.aws.standin.calls import Call
from tests.integration.aws.standin.cloud import Cloud
from tests.integration.aws.standin.ecs_services import Service

ROLES = ("taskRoleArn", "executionRoleArn")
TASKS = "ecs-tasks.amazonaws.com"


class Ecs:
    """What the stand-in answers itself."""

    def __init__(self, cloud: Cloud):
        self._cloud = cloud
        self._definitions: dict[str, list[dict[str, Any]]] = {}
        self._tags: dict[str, list[dict[str, str]]] = {}
        self._services: dict[tuple[str, str], Service] = {}
        self.operations: dict[str, Callable[[Call], dict[str, Any]]] = {
            "RegisterTaskDefinition": self._register,
            "DescribeTaskDefinition": self._describe_definition,
            "ListTaskDefinitions": self._list_definitions, "CreateService": self._create,
            "UpdateService": self._update, "DescribeServices": self._describe,
            "ListTasks": self._list_tasks, "DescribeTasks": self._describe_tasks,
        }  # fmt: skip

    def urls(self) -> dict[str, str]:
        """Where the load balancer of each service listens."""
        return {service.name: service.balancer.url for service in self._services.values()}

    def _register(self, call: Call) -> dict[str, Any]:
        request = copy.deepcopy(call.params)
        for role in ROLES:
            if role in request:
                self._cloud.iam.require_role(request[role], TASKS)
        tags, family = request.pop("tags", []), request["family"]
        known = self._definitions.setdefault(family, [])
        arn = f"arn:aws:ecs:{call.region}:{ACCOUNT}:task-definition/{family}:{len(known) + 1}"
        known.append({
            **request, "taskDefinitionArn": arn, "revision": len(known) + 1, "status": "ACTIVE",
            "registeredAt": time.time(), "compatibilities": ["EC2", "FARGATE"],
        })  # fmt: skip
        self._tags[arn] = tags
        return {"taskDefinition": known[-1], "tags": tags}

    def _describe_definition(self, call: Call) -> dict[str, Any]:
        found = self._definition(call.params["taskDefinition"])
        said: dict[str, Any] = {"taskDefinition": copy.deepcopy(found)}
        if "TAGS" in call.params.get("include", ()):
            said["tags"] = self._tags[found["taskDefinitionArn"]]
        return said

    def _list_definitions(self, call: Call) -> dict[str, Any]:
        found = [
            each["taskDefinitionArn"]
            for family, known in self._definitions.items() for each in known
            if family == call.params.get("familyPrefix", family)
        ]  # fmt: skip
        if call.params.get("sort") == "DESC":
            found.reverse()
        return {"taskDefinitionArns": found[: call.params.get("maxResults", 100)]}

    def _create(self, call: Call) -> dict[str, Any]:
        request = {"cluster": "default", **call.params}
        if request["cluster"] not in ecs_backends[ACCOUNT][call.region].clusters:
            raise AwsError("ClusterNotFoundException", "Cluster not found.")
        definition = self._definition(request["taskDefinition"])
        made = Service(self._cloud, call.region, request, definition)
        self._services[made.cluster, made.name] = made
        return {"service": copy.deepcopy(made.describe())}

    def _update(self, call: Call) -> dict[str, Any]:
        service = self._service(call, call.params["service"])
        if service is None:
            raise AwsError("ServiceNotFoundException", "Service not found.")
        wanted = call.params.get("taskDefinition") or service.describe()["taskDefinition"]
        service.update(call.params, self._definition(wanted))
        return {"service": copy.deepcopy(service.describe())}

    def _describe(self, call: Call) -> dict[str, Any]:
        asked = {name: self._service(call, name) for name in call.params["services"]}
        missing = [name for name, service in asked.items() if service is None]
        return {
            "services": [copy.deepcopy(each.describe()) for each in asked.values() if each],
            "failures": [{"arn": name, "reason": "MISSING"} for name in missing],
        }

    def _list_tasks(self, call: Call) -> dict[str, Any]:
        service = self._service(call, call.params["serviceName"])
        wanted = call.params.get("desiredStatus", "RUNNING")
        tasks = [task.describe() for task in service.tasks()] if service else []
        return {"taskArns": [each["taskArn"] for each in tasks if each["desiredStatus"] == wanted]}

    def _describe_tasks(self, call: Call) -> dict[str, Any]:
        known = [task for service in self._services.values() for task in service.tasks()]
        asked = call.params["tasks"]
        return {"tasks": [task.describe() for task in known if task.arn in asked], "failures": []}

    def _definition(self, name: str) -> dict[str, Any]:
        """By ARN, `family:revision`, or `family` for the latest."""
        family, _, revision = name.rpartition("/")[2].partition(":")
        known = self._definitions.get(family, [])
        number = int(revision or len(known))
        if not 0 < number <= len(known):
            raise AwsError("ClientException", "Unable to describe task definition.")
        return known[number - 1]

    def _service(self, call: Call, name: str) -> Service | None:
        return self._services.get((call.params.get("cluster", "default"), name))
