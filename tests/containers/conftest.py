"""Podman, and the stand-in for the images' base."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from millrace.settings import PROJECT
from tests.containers.podman import CACHE, PYTHON_NEEDS, Podman, installed, with_python
from tests.serving.conftest import baked  # noqa: F401 - a fixture
from tests.tracking.conftest import (  # noqa: F401 - fixtures
    client,
    evaluated_lake,
    home,
    jobs_in_this_process,
    mlflow_server,
    run_of,
)


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """Podman with the stand-in for Python's image; leaves bases and layers in the cache."""
    installed()
    CACHE.mkdir(parents=True, exist_ok=True)
    engine = Podman(tmp_path_factory.mktemp("podman"))
    engine.base(base_of(PROJECT / "include" / "serving" / "Dockerfile"), PYTHON_NEEDS, with_python)
    yield engine
    engine("container", "prune", "--force")
    # Layers of recent builds make the next ones quick.
    engine("image", "prune", "--force", "--filter", "until=168h")


def base_of(dockerfile: Path) -> str:
    """The image that a Dockerfile begins with."""
    found = re.search(r"^ARG BASE=(\S+)$", dockerfile.read_text(), re.M)
    assert found, f"{dockerfile} has no ARG BASE"
    return found[1]
