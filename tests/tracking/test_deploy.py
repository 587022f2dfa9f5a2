"""What is planned: the champion of a real MLflow server against what a service serves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from millrace import card
from millrace.datasets.deployment import Deploy
from millrace.model_service import NoAnswer
from millrace.settings import SettingsError
from millrace.steps.deploy import NothingToDeploy, plan, update
from millrace.steps.log_to_mlflow import log_published
from millrace.steps.promote import promote
from millrace.steps.run import Run
from millrace.tracking import registry
from millrace.tracking.registry import RegistryError
from tests.steps.test_verify import Remote
from tests.tracking.conftest import GOOD
from tests.tracking.mlflow_server import MlflowServer

pytestmark = pytest.mark.integration
RunOf = Callable[..., Run]


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    started = Remote(tmp_path_factory.mktemp("remote"))
    yield started
    started.process.kill()
    started.process.wait()


@pytest.fixture
def run(run_of: RunOf, remote: Remote) -> Run:
    """A run whose data set says `deploy`, and whose service serves another version."""
    found = run_of(GOOD)
    remote.champion("1", {"1": {"content": "others"}})
    spec = found.spec.model_copy(update={"deploy": Deploy()})
    return replace(found, spec=spec, settings=replace(found.settings, service_url=remote.url))


def promoted(run: Run, client: Any) -> Any:
    log_published(run)
    assert promote(run)["champion"]
    return registry.champion(client, "club")


def test_a_new_champion_is_to_come_into_service_until_it_is_there(
    run: Run, client: Any, remote: Remote
) -> None:
    version = promoted(run, client)
    content = version.tags[registry.CONTENT]
    found = plan(run, [{"changed": True, "backfill": False}])
    assert found == json.loads(json.dumps(found)) == {
        "version": version.version, "content": content, "where": "local",
        "before": {"version": "1", "content": "others"},
    }  # fmt: skip
    work = update(run, found)
    assert work.remote is None and work.do_here() == version.version
    remote.champion(version.version, {version.version: {"content": content}})
    with pytest.raises(NothingToDeploy, match=f"version {version.version} of club is in service"):
        plan(run)


@pytest.mark.parametrize(
    "said", [{"changed": False, "backfill": False}, {"changed": True, "backfill": True}]
)
def test_a_backfill_or_a_champion_that_stays_deploys_nothing(
    run: Run, client: Any, said: dict[str, Any]
) -> None:
    promoted(run, client)
    with pytest.raises(NothingToDeploy, match="stayed, or a backfill promoted it; start this DAG"):
        plan(run, [said])
    assert plan(run, [said, {"changed": True}])["where"] == "local"
    assert plan(run)["where"] == "local", "a person may"


def test_without_a_champion_there_is_nothing_to_deploy(run: Run, client: Any) -> None:
    with pytest.raises(NothingToDeploy, match="club has no champion in the registry; its pipeline"):
        plan(run)


def test_a_champion_whose_files_are_gone_is_found_before_anything_changes(
    run: Run, client: Any, mlflow_server: MlflowServer
) -> None:
    version = promoted(run, client)
    [bundle] = mlflow_server.artifacts.rglob(version.source.removeprefix("models:/"))
    [told] = mlflow_server.artifacts.rglob(f"{version.run_id}/artifacts/{card.FOLDER}")
    for stored, error in ((bundle, "the artifact of version .* of club"), (told, "has no card")):
        kept = shutil.move(stored, f"{stored} kept")
        try:
            with pytest.raises(RegistryError, match=error):
                plan(run)
        finally:
            shutil.move(kept, stored)


def test_a_service_that_is_not_there_is_named(run: Run, client: Any) -> None:
    promoted(run, client)
    nowhere = replace(run, settings=replace(run.settings, service_url="http://127.0.0.1:9"))
    with pytest.raises(NoAnswer, match=r"http://127.0.0.1:9/club/model does not answer"):
        plan(nowhere)


def test_ecs_without_its_settings_names_them(run: Run, client: Any, tmp_path: Path) -> None:
    spec = run.spec.model_copy(update={"deploy": Deploy(target="ecs")})
    with pytest.raises(SettingsError, match=r"MILLRACE_ECS_CLUSTER and .*; MILLRACE_AWS_REGION"):
        plan(replace(run, spec=spec))
