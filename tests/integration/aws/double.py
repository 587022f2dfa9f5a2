"""A double of the model service on the stand-in's ECS, and what runs of a deployment need of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from millrace.datasets.deployment import Deploy
from millrace.lake import LocalStore
from millrace.steps.run import Run
from tests.integration.aws.service import CLUSTER, IMAGE, PORT, Container, Service
from tests.integration.aws.standin import StandIn
from tests.tracking import made_up

REMOTE = Path(__file__).parents[2] / "remote"
COMMAND = ["python", "-c", "from remote_service import main; main()", str(PORT)]


class Ground(Service):
    """A double of the service, which runs version 1 of `club` in the file that is its registry.

    Args:
        user: whose rights the deployment has; the root's by default.
    """

    def __init__(self, aws: StandIn, folder: Path, user: str | None = None):
        self.user, self.registry = user, folder / "registry.json"
        self.folder, self.versions = folder, dict[str, dict[str, Any]]()
        self.version("1")
        self.version("2")
        aws.image(IMAGE, PYTHONPATH=str(REMOTE))
        variables = {"MILLRACE_MODELS": "club=1", "REGISTRY": str(self.registry)}
        name = re.sub(r"[^a-z0-9]+", "-", folder.name.lower())[-28:].strip("-")
        super().__init__(aws, name, Container("club", COMMAND, variables, aws.role, aws.role))
        self.until(lambda: self.serves() == "1" and self.is_steady())

    def version(self, number: str, **facts: Any) -> None:
        """Put a version into the registry."""
        self.versions[number] = {"content": f"files of {number}", **facts}
        registry = {"club": {"champion": number, "versions": self.versions}}
        self.registry.write_text(json.dumps(registry))

    def remove(self, number: str) -> None:
        """Lose a version."""
        del self.versions[number]
        registry = {"club": {"champion": "1", "versions": self.versions}}
        self.registry.write_text(json.dumps(registry))

    def run(self, **variables: str) -> Run:
        """A run of a deployment."""
        settings = made_up.settings(
            self.folder, "http://127.0.0.1:9",
            **{"MILLRACE_AWS_REGION": self.aws.region, "MILLRACE_ECS_CLUSTER": CLUSTER,
               "MILLRACE_ECS_SERVICE": self.name, "MILLRACE_SERVICE_URL": self.url,
               "MILLRACE_POLL_INTERVAL": "0.2", **variables},
        )  # fmt: skip
        spec = made_up.write_spec(self.folder / "datasets").model_copy(update={"deploy": Deploy()})
        return Run(
            spec, "2026-03-01", LocalStore(Path(settings.lake)), settings, ("good",),
            run_id="manual__1", client=lambda service: self.aws.client(service, self.user),
        )  # fmt: skip

    def plan(self, version: str = "2", before: str = "1") -> dict[str, Any]:
        """What the task `plan` hands on."""
        stood = {"version": before, "content": f"files of {before}"}
        return {"version": version, "content": f"files of {version}", "where": "ecs",
                "before": stood}  # fmt: skip
