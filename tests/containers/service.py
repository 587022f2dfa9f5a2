"""The model service in a container of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.containers.podman import Podman
from tests.tracking.mlflow_server import free_port


@contextmanager
def running(
    podman: Podman, image: str, folders: Mapping[Path, str] | None = None, **variables: str
) -> Iterator[tuple[str, str]]:
    """A container that may do nothing but serve; its name and address.

    Args:
        folders: of this machine, for reading, by their place in the container.
    """
    port = free_port()
    name = f"millrace-test-{port}"
    settings = [f"--env={key}={value}" for key, value in variables.items()]
    mounts = [f"--volume={here}:{there}:ro" for here, there in (folders or {}).items()]
    podman(
        "run", "--detach", "--name", name, "--network", "host", "--read-only", "--tmpfs", "/tmp",
        "--cap-drop", "all", "--security-opt", "no-new-privileges", "--memory", "1g",
        *settings, *mounts, image, "python", "-m", "serving", "--port", str(port),
    )  # fmt: skip
    try:
        yield name, f"http://127.0.0.1:{port}"
    finally:
        print(podman.run("podman", "logs", name).stderr)
        podman("rm", "--force", "--time", "0", name)


def is_ready(url: str) -> bool:
    """Whether all models that must be there are."""
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def answers(url: str) -> bool:
    """Whether anybody answers there."""
    try:
        return bool(requests.get(url, timeout=5).status_code)
    except requests.RequestException:
        return False
