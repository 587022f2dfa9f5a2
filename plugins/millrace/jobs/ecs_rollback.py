"""The way back from a deployment of an ECS service."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from millrace.aws import ecs
from millrace.jobs.ecs_service import EcsDeployment, short
from millrace.jobs.job import Job, Lines, Request, State, Status

log = logging.getLogger(__name__)


class EcsRollback(EcsDeployment):
    """The way back from a deployment, which is known by its name, to the revision it replaces.

    Only a service that stands on the deployment's own revision is taken back. On any other, be it
    the circuit breaker's or a person's, it is left alone, and waited for.
    """

    def find(self, name: str, home: str = "") -> tuple[Job, Status] | None:
        """The revision that the service stands on; None where it is the deployment's own."""
        service, deployed = self.known(home), super().find(name, home)
        if service is None or (deployed and deployed[0].id == service["taskDefinition"]):
            return None
        number = deployed[0].number if deployed else 1
        job = Job(name, number, service["taskDefinition"], home)
        return job, self.status(service, job)

    def start(self, request: Request, number: int) -> Job:
        """Update the service to the old revision.

        Raises:
            NotServed: the service, or its deployment of this name, is gone.
        """
        deployed = super().find(request.name, request.home)
        if deployed is None:
            self.service(request.home)
            raise ecs.NotServed(f"{request.home} has no deployment {request.name} any more")
        before = self.described(deployed[0].id)[1][ecs.REPLACES]
        log.warning("Taking %s back to %s.", request.home, short(before))
        self.client.update_service(**ecs.update_request(request.home, before))
        return Job(request.name, number, before, request.home)

    def logs(self, job: Job, cursor: Mapping[str, Any]) -> Lines:
        """Nothing: how many tasks run is told, and the events stand in the deployment's log."""
        return Lines(complete=True)

    def stop(self, job: Job) -> None:
        """A service that is on its way back is left alone: there is nothing better to go to."""
        log.warning("%s goes on to %s.", job.home, short(job.id))

    def status(self, service: Mapping[str, Any], job: Job) -> Status:
        """Without an age: the circuit breaker goes back to a deployment that is as old as it is."""
        if service["taskDefinition"] != job.id:
            return Status(State.WAITING, f"waiting for ECS to turn to {short(job.id)}")
        return replace(super().status(service, job), seconds=None)
