"""All steps over a lake on S3 give what they give over a local folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millrace.lake import Store, open_store
from millrace.steps.log_to_mlflow import log_spooled, log_to_mlflow
from millrace.steps.promote import promote
from millrace.steps.run import Run
from millrace.tracking import registry
from tests.lake.s3 import new_root, s3_client, s3_server
from tests.tracking import made_up
from tests.tracking.conftest import BOTH, CANDIDATES
from tests.tracking.mlflow_server import MlflowServer, free_port

pytestmark = pytest.mark.integration


@pytest.fixture
def s3_store() -> Iterator[Store]:
    with s3_server() as endpoint:
        yield open_store(new_root(), s3_client(endpoint))


def test_the_whole_pipeline(
    client: Any,
    home: Path,
    mlflow_server: MlflowServer,
    s3_store: Store,
    jobs_in_this_process: None,
) -> None:
    settings = made_up.settings(home, mlflow_server.uri)
    spec = made_up.load_spec(home / "datasets" / "club.yaml")
    local = Run(spec, BOTH, open_store(settings.lake), settings, CANDIDATES[BOTH])
    run = Run(spec, BOTH, s3_store, settings, CANDIDATES[BOTH])
    made_up.deliver(s3_store, BOTH, made_up.rows())

    facts = made_up.evaluated(run)

    there = local.published("reports", "evaluation", "evaluate")
    assert facts == there.facts
    here = run.published("reports", "evaluation", "evaluate")
    assert here.uri.startswith("s3://lake/")
    assert summary(here) == summary(there)
    assert made_up.evaluated(run) == facts
    assert run.published("reports", "evaluation", "evaluate").manifest == here.manifest

    down = made_up.settings(home, f"http://127.0.0.1:{free_port()}")
    lost = Run(spec, BOTH, s3_store, down, CANDIDATES[BOTH])
    assert log_to_mlflow(lost) == {"spooled": True}
    assert len(log_spooled(s3_store, settings)) == 1
    assert s3_store.list("spool") == []
    assert log_to_mlflow(run)["spooled"] is False
    assert promote(run)["champion"] is True
    champion = registry.champion(client, "club")
    assert champion is not None
    with registry.verified_bundle(champion) as bundle:
        assert json.loads((bundle / "model.json").read_text())["algorithm"] == "xgboost"


def summary(evaluation: Any) -> dict[str, Any]:
    """What was measured, without times and provenance."""
    found: dict[str, Any] = evaluation.json("summary.json")
    for candidate in found["candidates"]:
        candidate.pop("seconds")
    for name in ("created", "git_commit", "code_fingerprint"):
        found.pop(name)
    return found
