"""The DAGs that score: the graph with its setup and teardown, what starts them, and backfills."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.serialization.serialized_objects import DagSerialization

from millrace import assets
from millrace.datasets.scoring import scored_specs
from millrace.settings import PROJECT
from tests.dags.conftest import parse
from tests.dags.test_image_dags import AWS

SPECS = scored_specs(PROJECT / "include" / "datasets")
EDGES = {
    "plan": {"create_cluster", "score"},
    "create_cluster": {"score", "terminate_cluster"},
    "score": {"terminate_cluster"},
    "terminate_cluster": set(),
}


@pytest.fixture(scope="module")
def on_aws() -> dict[str, Any]:
    """The DAGs as they are where an AWS target is set."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in AWS.items():
            patched.setenv(name, value)
        return parse()


@pytest.fixture(params=["local", "aws"])
def either(request: pytest.FixtureRequest, dags: dict[str, Any], on_aws: dict[str, Any]) -> Any:
    return {"local": dags, "aws": on_aws}[request.param]


def test_there_is_one() -> None:
    assert SPECS


@pytest.mark.parametrize("name", SPECS)
def test_the_cluster_is_set_up_and_torn_down_around_the_score(
    either: dict[str, Any], name: str
) -> None:
    dag = either[f"score_{name}"]
    assert {task.task_id: set(task.downstream_task_ids) for task in dag.tasks} == EDGES
    assert [task.task_id for task in dag.tasks if task.is_setup] == ["create_cluster"]
    assert [task.task_id for task in dag.tasks if task.is_teardown] == ["terminate_cluster"]
    for task in dag.tasks:
        assert task.owner == SPECS[name].owner
        assert task.doc_md and task.execution_timeout
        assert task.retries == (5 if task.task_id == "score" else 2)


@pytest.mark.parametrize("name", SPECS)
def test_on_aws_the_score_needs_the_cluster(on_aws: dict[str, Any], name: str) -> None:
    assert on_aws[f"score_{name}"].get_task("create_cluster").used_by == "score"


@pytest.mark.parametrize("name", SPECS)
def test_it_can_be_backfilled_and_asks_for_little(dags: dict[str, Any], name: str) -> None:
    dag = dags[f"score_{name}"]
    assert set(dag.params) == {"partition", "engine", "again"}
    stored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    assert stored.timetable.periodic and stored.timetable.partitioned
    assert "scoring" in dag.tags and not dag.catchup
    days = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2)]
    found = [info.partition_key for info in stored.iter_dagrun_infos_between(*days)]
    assert found == ["2026-03-01", "2026-03-02"], "a backfill takes both of its days"


@pytest.mark.parametrize("name", SPECS)
def test_features_and_champions_start_it(dags: dict[str, Any], name: str) -> None:
    stored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dags["start_scoring"]))
    assert stored.timetable.partitioned
    heard = {key.uri for key, _ in stored.timetable.asset_condition.iter_assets()}
    made: set[str] = set()
    for task in dags[name].tasks:
        made |= {outlet.uri for outlet in task.outlets if isinstance(outlet, Asset)}
    assert heard >= made == {assets.features_of(name).uri, assets.champion_of(name).uri}


def test_pipelines_that_nobody_listens_to_announce_nothing(dags: dict[str, Any]) -> None:
    assert not dags["telecom_churn"].get_task("promote").outlets


def test_a_champion_that_stays_is_no_change() -> None:
    features, champion = assets.features_of("homes").uri, assets.champion_of("homes").uri
    assert assets.changed([(features, {"uri": "features/homes"})]) == ["homes"]
    assert assets.changed([(champion, {"changed": True}), (features, {})]) == ["homes"]
    assert assets.changed([(champion, {"changed": False})]) == []
    other = assets.champion_of("cars").uri
    assert assets.changed([(other, {"changed": True}), (features, {})]) == ["cars", "homes"]
