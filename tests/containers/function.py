"""The function that prepares uploads, in a container as Lambda runs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.containers.podman import Podman
from tests.on_upload.conftest import Lake
from tests.on_upload.runtime_api import runtime_api

NAME = "millrace-test-on-upload"
USER = "993:990"  # Lambda's own
MEMORY = 2048  # megabytes


class Function:
    """Invokes the function; reads its log."""

    def __init__(self, podman: Podman, api: Any) -> None:
        self.podman, self.api = podman, api

    def invoke(self, event: Any) -> tuple[str, Any]:
        """What the handler returned, or its error."""
        answer: tuple[str, Any] = self.api.invoke(event, self._alive)
        return answer

    def log(self) -> str:
        """All that it wrote."""
        done = self.podman.run("podman", "logs", NAME)
        return done.stdout + done.stderr

    def _alive(self) -> bool:
        return self.podman("inspect", "--format", "{{.State.Running}}", NAME) == "true"


@contextmanager
def function(podman: Podman, image: str, lake: Lake) -> Iterator[Function]:
    """The function over a lake, with a disk that nothing but /tmp of can be written."""
    lake.datasets.chmod(0o755)
    variables = lake.environment | {
        "MILLRACE_DATASETS": "/datasets",
        "AWS_LAMBDA_FUNCTION_NAME": "on-upload",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(MEMORY),
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
    }
    with runtime_api() as api:
        settings = [f"--env={key}={value}" for key, value in
                    (variables | {"AWS_LAMBDA_RUNTIME_API": api.address}).items()]  # fmt: skip
        podman(
            "run", "--detach", "--name", NAME, "--network", "host", "--read-only",
            "--tmpfs", "/tmp", "--cap-drop", "all", "--user", USER, "--memory", f"{MEMORY}m",
            "--volume", f"{lake.datasets}:/datasets:ro", *settings, image,
        )  # fmt: skip
        running = Function(podman, api)
        try:
            yield running
        finally:
            print(running.log())
            podman("rm", "--force", "--time", "0", NAME)
            api.events.put(("", None))
