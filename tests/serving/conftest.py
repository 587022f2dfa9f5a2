"""Models of a made-up data set, baked as an image holds them, and services that serve them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from millrace import card
from millrace.card import card_of
from millrace.lake import open_store
from millrace.steps.run import Run
from millrace.tracking.registry import content_hash
from millrace.training import MODEL, unpacked
from serving.app import Service
from serving.settings import ServiceSettings
from serving.sources import BUNDLE, SOURCE
from tests.serving.waiting import until
from tests.tracking import made_up
from tests.tracking.conftest import (  # noqa: F401 - fixtures
    CANDIDATES,
    GOOD,
    client,
    evaluated_lake,
    home,
    jobs_in_this_process,
    mlflow_server,
    run_of,
)

PARTITIONS = {"good": GOOD, "stump": "2026-03-02", "stopped": "2026-03-07"}


@pytest.fixture(scope="package")
def baked(evaluated_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """A folder of folders: for each candidate one that holds its model as `club`."""
    folder = tmp_path_factory.mktemp("baked")
    for number, (candidate, partition) in enumerate(PARTITIONS.items(), start=1):
        bake(evaluated_lake, folder / candidate / "club", candidate, partition, str(number))
    return folder


def bake(home: Path, target: Path, candidate: str, partition: str, version: str) -> None:  # noqa: F811
    """Write a model as an image holds it."""
    settings = made_up.settings(home, "http://127.0.0.1:9")
    spec = made_up.load_spec(home / "datasets" / "club.yaml")
    run = Run(spec, partition, open_store(settings.lake), settings, CANDIDATES[partition])
    with unpacked(run.published("models", candidate, "train").path(MODEL)) as bundle:
        shutil.copytree(bundle, target / BUNDLE)
    state = json.loads((target / BUNDLE / "transformation.json").read_text())
    summary = run.published("reports", "evaluation", "evaluate").json("summary.json")
    told = card_of(spec, spec, state, summary, {"title": "How they are addressed"}, ["title"])
    (target / card.FILE).write_text(json.dumps(told))
    facts = {"version": version, "content": content_hash(target / BUNDLE)}
    (target / SOURCE).write_text(json.dumps(facts))


SETTINGS = ServiceSettings(models={}, folder=None, mlflow_uri=None, refresh=0.2)


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[TestClient, Service]]]:
    """Starts the application with changed settings and waits until it is ready."""
    clients: list[TestClient] = []

    def start(*, ready: bool = True, **changes: Any) -> tuple[TestClient, Service]:
        service = Service(replace(SETTINGS, **changes))
        answering = TestClient(service.app, raise_server_exceptions=False)
        answering.__enter__()
        clients.append(answering)
        if ready:
            until(lambda: answering.get("/").status_code == 200)
        return answering, service

    yield start
    for each in clients:
        each.__exit__(None, None, None)


@pytest.fixture
def good(serve: Callable[..., tuple[TestClient, Service]], baked: Path) -> TestClient:
    """A service of one good model."""
    return serve(folder=baked / "good")[0]
