"""The way back from a deployment of an ECS service."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from millrace.aws import ecs
from millrace.jobs.ecs_service import EcsDeployment, short
from millrace.jobs.job import Job, Lines, Request, Status

log = logging.getLogger(__name__)


class EcsRollback(EcsDeployment):
    """The way back from a deployment, known by its name: to the revision that it replaces."""

    def find(self, name: str, home: str = "") -> tuple[Job, Status] | None:
        """The old revision, where the service is on its way to it or there."""
        target = self._target(name, home)
        if target is None:
            return None
        service = self.service(home)
        if service["taskDefinition"] != target.id:
            return None
        return target, self.status(service, target)

    def start(self, request: Request, number: int) -> Job:
        """Update the service to the old revision.

        Raises:
            NotServed: there is no deployment of this name to go back from.
        """
        target = self._target(request.name, request.home)
        if target is None:
            raise ecs.NotServed(f"{request.home} was not updated by {request.name}")
        log.warning("Taking %s back to %s.", request.home, short(target.id))
        self.client.update_service(**ecs.update_request(request.home, target.id))
        return replace(target, number=number)

    def logs(self, job: Job, cursor: Mapping[str, Any]) -> Lines:
        """Nothing: how many tasks run is told, and the events stand in the deployment's log."""
        return Lines(complete=True)

    def stop(self, job: Job) -> None:
        """A service that is on its way back is left alone: there is nothing better to go to."""
        log.warning("%s goes on to %s.", job.home, short(job.id))

    def status(self, service: Mapping[str, Any], job: Job) -> Status:
        """Without an age: the circuit breaker goes back to the old deployment, which is as old as
        it is.
        """
        return replace(super().status(service, job), seconds=None)

    def _target(self, name: str, home: str) -> Job | None:
        found = super().find(name, home)
        if found is None:
            return None
        return replace(found[0], id=self.described(found[0].id)[1][ecs.REPLACES])
