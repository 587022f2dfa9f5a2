"""A real MLflow server for the whole session, and a lake with evaluated partitions."""

from __future__ import annotations

import os
import runpy
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from millrace import training
from millrace.lake import open_store
from millrace.settings import Settings
from millrace.steps.run import Run
from millrace.tracking.server import connect
from tests.tracking import made_up
from tests.tracking.mlflow_server import MlflowServer

GOOD, STUMP, AGAIN, BOTH, COPIES, EQUAL, STOPPED = (f"2026-03-0{day}" for day in range(1, 8))
CANDIDATES = {
    GOOD: ("good",), STUMP: ("stump",), AGAIN: ("twin",), EQUAL: ("good",), BOTH: ("good", "stump"),
    COPIES: ("stump",), STOPPED: ("stopped",),
}  # fmt: skip


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with MlflowServer(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


def run_in_this_process(
    script: Path, arguments: Sequence[str], environment: Mapping[str, str], *, timeout: float
) -> float:
    """The script itself, without the seconds that a new interpreter takes to import pandas."""
    beside = [str(script.parent), *sys.path]
    with (
        mock.patch.dict(os.environ, environment),
        mock.patch.object(sys, "path", beside),
        mock.patch("logging.basicConfig"),
    ):
        runpy.run_path(str(script))["main"](list(arguments))
    return 1.0


@pytest.fixture(scope="package")
def jobs_in_this_process() -> Iterator[None]:
    with mock.patch.object(training, "run_script", run_in_this_process):
        yield


@pytest.fixture(scope="package")
def evaluated_lake(jobs_in_this_process: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake whose partitions hold the same rows and are evaluated with different candidates."""
    home = tmp_path_factory.mktemp("evaluated")
    spec = made_up.write_spec(home / "datasets")
    for partition, candidates in CANDIDATES.items():
        settings = made_up.settings(home, "http://127.0.0.1:9")
        store = open_store(settings.lake)
        made_up.deliver(store, partition, made_up.rows())
        made_up.evaluated(Run(spec, partition, store, settings, candidates))
    return home


@pytest.fixture
def home(evaluated_lake: Path, tmp_path: Path) -> Path:
    """A copy of the evaluated lake that a test may change."""
    return shutil.copytree(evaluated_lake, tmp_path / "home")


def forget(client: Any) -> None:
    """Make the server know nothing of the data set."""
    if experiment := client.get_experiment_by_name("club"):
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment.experiment_id)
        client.rename_experiment(experiment.experiment_id, f"club {uuid.uuid4()}")
    if client.search_registered_models("name = 'club'"):
        client.delete_registered_model("club")


@pytest.fixture
def client(mlflow_server: MlflowServer, home: Path) -> Iterator[Any]:
    """A client of a server that knows nothing of the data set."""
    client = connect(made_up.settings(home, mlflow_server.uri))
    forget(client)
    yield client
    forget(client)


@pytest.fixture
def run_of(home: Path, client: Any, mlflow_server: MlflowServer) -> Callable[..., Run]:
    """A run of a partition against the server, with changes to its fields."""
    settings: Settings = made_up.settings(home, mlflow_server.uri)
    spec = made_up.load_spec(home / "datasets" / "club.yaml")
    store = open_store(settings.lake)

    def make(partition: str, **changes: Any) -> Run:
        return replace(Run(spec, partition, store, settings, CANDIDATES[partition]), **changes)

    return make
