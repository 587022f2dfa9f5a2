"""The DAGs that watch for drift, and the one that hears their alarms."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from millrace import assets
from millrace.datasets.watching import watch_of, watched_specs
from millrace.settings import PROJECT

SPECS = watched_specs(PROJECT / "include" / "datasets")


def test_every_kind_is_watched_and_some_are_trained_again() -> None:
    assert {"loan_default", "telecom_churn", "home_credit", "fruits"} == {*SPECS}
    assert [name for name, spec in SPECS.items() if watch_of(spec).retrain] == ["telecom_churn"]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", SPECS)
def test_it_compares_and_raises_an_alarm(dags: dict[str, Any], name: str) -> None:
    dag = dags[f"watch_{name}"]
    edges = {task.task_id: set(task.downstream_task_ids) for task in dag.tasks}
    assert edges == {"compare": {"raise_alarm"}, "raise_alarm": set()}
    assert dag.get_task("raise_alarm").outlets == [assets.drift_of(name)]
    assert dag.get_task("compare").outlets == []
    stored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    assert stored.timetable.periodic and stored.timetable.partitioned, "it can be backfilled"
    assert "drift" in dag.tags and not dag.catchup and dag.doc_md
    assert {task.owner for task in dag.tasks} == {SPECS[name].owner}


def test_alarms_of_those_that_say_so_start_a_pipeline(dags: dict[str, Any]) -> None:
    dag = dags["start_retraining"]
    assert {task.task_id: set(task.downstream_task_ids) for task in dag.tasks} == {
        "find_partitions": {"start_run"}, "start_run": set(),
    }  # fmt: skip
    stored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    heard = {key.uri for key, _ in stored.timetable.asset_condition.iter_assets()}
    assert heard == {assets.drift_of("telecom_churn").uri}
