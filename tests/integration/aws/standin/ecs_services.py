"""One service of ECS: its tasks, its rolling deployments, and its circuit breaker."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.integration.aws.standin.account import ACCOUNT
from tests.integration.aws.standin.balancer import Balancer
from tests.integration.aws.standin.ecs_tasks import Task

if TYPE_CHECKING:
    from tests.integration.aws.standin.cloud import Cloud

log = logging.getLogger(__name__)

LOOK = 0.05  # seconds between two looks at the tasks
MOST_FAILURES = 3  # of a deployment's tasks; ECS takes half of the wanted tasks, 3 at least
MOST_EVENTS = 100
SCALING = "Scaling activity initiated by deployment"
BREAKER = "ECS deployment circuit breaker"


@dataclass
class Deployment:
    """A task definition that the service is, was or comes to."""

    definition: Mapping[str, Any]
    groups: tuple[str, ...]
    desired: int
    status: str = "PRIMARY"
    rollout: str = "IN_PROGRESS"
    reason: str = ""
    failed: int = 0
    tasks: list[Task] = field(default_factory=list)
    created: float = field(default_factory=time.time)
    id: str = field(default_factory=lambda: f"ecs-svc/{uuid.uuid4().int % 10**19}")

    def running(self) -> list[Task]:
        return [task for task in self.tasks if task.status == "RUNNING"]

    def in_service(self) -> int:
        return len([task for task in self.running() if task.target.state == "healthy"])


class Service:
    """A rolling update replaces tasks only by healthy ones.

    Args:
        request: what CreateService was asked for.
        definition: the task definition that it names.
    """

    def __init__(
        self, cloud: Cloud, region: str, request: Mapping[str, Any], definition: Mapping[str, Any]
    ):
        self._cloud, self._region, self.request = cloud, region, dict(request)
        self.name, self.cluster = request["serviceName"], request["cluster"]
        front = request["loadBalancers"][0]
        self._container, self._port = front["containerName"], front["containerPort"]
        self.balancer = Balancer(region, front["targetGroupArn"], lambda: cloud.pace["health"])
        self.deployments: list[Deployment] = []
        self.stopped: list[Task] = []
        self.events: list[dict[str, Any]] = []
        self.created = time.time()
        self.update(request, definition)
        threading.Thread(target=self._live, name=f"service {self.name}", daemon=True).start()

    def update(self, request: Mapping[str, Any], definition: Mapping[str, Any]) -> None:
        """Begin a deployment; what was there stays until it is replaced."""
        self.request.update({key: value for key, value in request.items() if value is not None})
        network = self.request.get("networkConfiguration", {}).get("awsvpcConfiguration", {})
        groups = tuple(network.get("securityGroups", ()))
        for each in self.deployments:
            each.status = "ACTIVE"
        made = Deployment(definition, groups, self.request["desiredCount"])
        self.deployments.insert(0, made)
        self._begin(made)

    def tasks(self) -> list[Task]:
        """Every task, those that ended among them."""
        return [task for each in self.deployments for task in each.tasks] + self.stopped

    def describe(self) -> dict[str, Any]:
        """As DescribeServices answers it."""
        base = f"arn:aws:ecs:{self._region}:{ACCOUNT}"
        counts = [self._describe(each) for each in self.deployments]
        kept = ("loadBalancers", "desiredCount", "networkConfiguration", "deploymentConfiguration",
                "launchType")  # fmt: skip
        return {
            "serviceArn": f"{base}:service/{self.cluster}/{self.name}", "serviceName": self.name,
            "clusterArn": f"{base}:cluster/{self.cluster}", "status": "ACTIVE",
            "createdAt": self.created, "deployments": counts, "events": list(self.events),
            "runningCount": sum(each["runningCount"] for each in counts),
            "pendingCount": sum(each["pendingCount"] for each in counts),
            "taskDefinition": self.deployments[0].definition["taskDefinitionArn"],
            **{key: self.request[key] for key in kept if key in self.request},
        }  # fmt: skip

    def _describe(self, one: Deployment) -> dict[str, Any]:
        pending = [task for task in one.tasks if task.status == "PENDING"]
        return {
            "id": one.id, "status": one.status, "rolloutState": one.rollout,
            "rolloutStateReason": one.reason, "desiredCount": one.desired,
            "taskDefinition": one.definition["taskDefinitionArn"], "failedTasks": one.failed,
            "runningCount": len(one.running()), "pendingCount": len(pending),
            "createdAt": one.created, "updatedAt": time.time(),
        }  # fmt: skip

    def _live(self) -> None:
        waiting = threading.Event()
        while not waiting.wait(LOOK):
            try:
                with self._cloud.lock:
                    self._look()
            except Exception:
                log.exception("the stand-in's own error in the service %s", self.name)

    def _look(self) -> None:
        now = self.deployments[0]
        for each in list(self.deployments):
            self._bury(each)
            if each is now or each.desired:
                self._dismiss_unhealthy(each)
        breaker = self.request.get("deploymentConfiguration", {}).get(
            "deploymentCircuitBreaker", {}
        )
        if now.rollout == "IN_PROGRESS" and now.failed >= MOST_FAILURES and breaker.get("enable"):
            self._give_up(now, go_back=bool(breaker.get("rollback")))
            return
        if now.rollout != "FAILED":
            for _ in range(now.desired - len(now.tasks)):
                self._launch(now)
        if now.in_service() >= now.desired:
            self._complete(now)

    def _bury(self, one: Deployment) -> None:
        """Take tasks that have ended out; one that ended by itself has failed."""
        for task in [task for task in one.tasks if task.status == "STOPPED"]:
            one.tasks.remove(task)
            self.stopped.append(task)
            self.balancer.remove(task.target)
            if not task.stop_asked.is_set():
                one.failed += 1
        if one.status == "ACTIVE" and not one.tasks and not one.desired:
            self.deployments.remove(one)

    def _dismiss_unhealthy(self, one: Deployment) -> None:
        group = self.balancer.group.arn
        for task in one.running():
            if task.target.state == "unhealthy" and not task.stop_asked.is_set():
                self._tell(
                    f"(task {task.name}) (port {self._port}) is unhealthy in (target-group"
                    f" {group}) due to (reason {task.target.reason})."
                )
                self._stop(task, f"Task failed ELB health checks in (target-group {group})")
                one.failed += 1

    def _launch(self, one: Deployment) -> None:
        task = Task(
            self._cloud, uuid.uuid4().hex, self._region, self.cluster, one.definition,
            self._container, self._port, one.groups,
        )  # fmt: skip
        one.tasks.append(task)
        self.balancer.targets.append(task.target)
        task.begin()
        self._tell(f"has started 1 tasks: (task {task.name}).")

    def _stop(self, task: Task, reason: str) -> None:
        """No request goes to it any more once it is told to end."""
        self.balancer.remove(task.target)
        task.stop(reason)

    def _complete(self, now: Deployment) -> None:
        """Retire what came before; once it is gone, the deployment is complete."""
        for other in self.deployments[1:]:
            other.desired = 0
            for task in other.tasks:
                self._stop(task, SCALING)
        if len(self.deployments) == 1 and now.rollout == "IN_PROGRESS":
            now.rollout, now.reason = "COMPLETED", f"ECS deployment {now.id} completed."
            self._tell(f"(deployment {now.id}) deployment completed.")
            self._tell("has reached a steady state.")

    def _give_up(self, now: Deployment, *, go_back: bool) -> None:
        """The circuit breaker; with `go_back` the last complete deployment becomes the primary."""
        now.rollout, now.reason = "FAILED", f"{BREAKER}: tasks failed to start."
        self._tell(f"(deployment {now.id}) deployment failed: tasks failed to start.")
        before = next((each for each in self.deployments if each.rollout == "COMPLETED"), None)
        if not go_back or before is None:
            return
        self._tell(f"rolling back to deployment {before.id}.")
        now.status, now.desired, before.status = "ACTIVE", 0, "PRIMARY"
        self._begin(before, f"{BREAKER}: rolling back to deploymentId {before.id}.")
        for task in now.tasks:
            self._stop(task, SCALING)
        self.deployments.remove(before)
        self.deployments.insert(0, before)

    def _begin(self, one: Deployment, reason: str = "") -> None:
        one.rollout, one.failed = "IN_PROGRESS", 0
        one.reason = reason or f"ECS deployment {one.id} in progress."

    def _tell(self, message: str) -> None:
        event = {"id": str(uuid.uuid4()), "createdAt": time.time(),
                 "message": f"(service {self.name}) {message}"}  # fmt: skip
        self.events = [event, *self.events][:MOST_EVENTS]
