"""One task of an ECS service, as a process."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.integration.aws.standin.account import ACCOUNT, ROLE, role_arn
from tests.integration.aws.standin.balancer import Target
from tests.integration.aws.standin.jobs import Job, Stopped

if TYPE_CHECKING:
    from tests.integration.aws.standin.cloud import Cloud


class Task(Job):
    """The container behind the load balancer; a task of a service ends only when it is stopped.

    Its port is another one on this machine, where many tasks share an address: the number of the
    container's port is translated in its command and its variables.
    """

    service = "ecs"

    def __init__(
        self, cloud: Cloud, identifier: str, region: str, cluster: str,
        definition: Mapping[str, Any], container: str, container_port: int,
        groups: tuple[str, ...],
    ):  # fmt: skip
        role = definition.get("taskRoleArn") or role_arn(ROLE)
        super().__init__(cloud, identifier, region, role, {}, None)
        self.definition, self.cluster = definition, cluster
        self.container = next(
            each for each in definition["containerDefinitions"] if each["name"] == container
        )
        self.container_port = container_port
        self.target = Target(_free_port(), container_port, groups)
        self.arn = f"arn:aws:ecs:{region}:{ACCOUNT}:task/{cluster}/{identifier}"
        self.status, self.reason = "PENDING", ""
        self.code: int | None = None

    @property
    def state(self) -> str:
        return self.status

    def break_down(self, reason: str) -> None:
        self.status, self.reason, self.ended = "STOPPED", reason, time.time()

    def stop(self, reason: str) -> None:
        """Ask it to end."""
        self.reason = self.reason or reason
        self.stop_asked.set()

    def run(self) -> None:
        try:
            self.stay("PENDING")
            self.status = "RUNNING"
            options = self.container.get("logConfiguration", {}).get("options", {})
            command = [self._here(word) for word in self.container["command"]]
            write = self._log(options)
            self.code = self.execute(
                command, self._variables(), self.folder, lambda _, line: write(line)
            )
            self.reason = self.reason or "Essential container in task exited"
        except Stopped:
            pass
        except OSError as error:
            self.code, self.reason = 127, f"CannotStartContainerError: {error}"
        self.status, self.ended = "STOPPED", time.time()

    def describe(self) -> dict[str, Any]:
        """As DescribeTasks answers it."""
        container = {"name": self.container["name"], "lastStatus": self.status,
                     **({"exitCode": self.code} if self.code is not None else {})}  # fmt: skip
        stopping = self.stop_asked.is_set() or self.status == "STOPPED"
        return {
            "taskArn": self.arn, "clusterArn": self.arn.replace(":task/", ":cluster/")
            .rpartition("/")[0], "taskDefinitionArn": self.definition["taskDefinitionArn"],
            "lastStatus": self.status, "desiredStatus": "STOPPED" if stopping else "RUNNING",
            "createdAt": self.created, "containers": [container],
            **({"stoppedReason": self.reason} if self.reason else {}),
            **({"stoppedAt": self.ended} if self.ended else {}),
        }  # fmt: skip

    def _variables(self) -> dict[str, str]:
        """Those of the role, of the image, and of the definition, the later ones winning."""
        given = {each["name"]: each["value"] for each in self.container.get("environment", ())}
        image = self.cloud.images.get(self.container["image"], {})
        more = {name: self._here(value) for name, value in {**image, **given}.items()}
        return {**self.environment(), **more}

    def _here(self, text: str) -> str:
        return re.sub(rf"\b{self.container_port}\b", str(self.target.port), text)

    def _log(self, options: Mapping[str, str]) -> Any:
        if "awslogs-group" not in options:
            return lambda line: None
        stream = f"{options['awslogs-stream-prefix']}/{self.container['name']}/{self.name}"
        role = self.definition.get("executionRoleArn") or role_arn(ROLE)
        return self.cloud.log_stream(role, self.region, options["awslogs-group"], stream).write


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
