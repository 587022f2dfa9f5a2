"""Podman, and the stand-in for the images' base."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from millrace.settings import PROJECT
from tests.containers.images import base_of
from tests.containers.podman import CACHE, PYTHON_NEEDS, Podman, installed, with_python
from tests.on_upload.conftest import endpoint, everything, lake  # noqa: F401 - fixtures
from tests.serving.conftest import baked  # noqa: F401 - a fixture
from tests.serving.ui.conftest import drawn  # noqa: F401 - a fixture
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
