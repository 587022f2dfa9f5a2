"""The DAGs that deploy: the graph with its way back, what starts them, and who is asked."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import Asset, TriggerRule
from airflow.serialization.serialized_objects import DagSerialization

from millrace import assets
from millrace.approval import ApproveDeployment
from millrace.datasets.deployment import deployed_specs, needs_approval
from millrace.settings import PROJECT
from millrace.steps.deploy import asks_for_deployment

SPECS = deployed_specs(PROJECT / "include" / "datasets")
EDGES = {
    "plan": {"update", "verify", "roll_back", "report_failure"},
    "update": {"verify", "roll_back"},
    "verify": {"roll_back"},
    "roll_back": {"report_failure"},
    "report_failure": set(),
}
APPROVED = {**EDGES, "plan": {*EDGES["plan"], "approve"}, "approve": {"update"}}


def test_both_ways_are_shown() -> None:
    assert {needs_approval(spec) for spec in SPECS.values()} == {True, False}


@pytest.mark.parametrize("name", SPECS)
def test_every_failure_leads_to_the_way_back(dags: dict[str, Any], name: str) -> None:
    dag = dags[f"deploy_{name}"]
    found = {task.task_id: set(task.downstream_task_ids) for task in dag.tasks}
    assert found == (APPROVED if needs_approval(SPECS[name]) else EDGES)
    rules = {task.task_id: task.trigger_rule for task in dag.tasks}
    assert rules.pop("roll_back") == TriggerRule.ONE_FAILED
    assert set(rules.values()) == {TriggerRule.ALL_SUCCESS}


@pytest.mark.parametrize("name", SPECS)
def test_tasks_are_owned_documented_and_bounded(dags: dict[str, Any], name: str) -> None:
    for task in dags[f"deploy_{name}"].tasks:
        assert task.owner == SPECS[name].owner and task.doc_md
        assert task.retries == (5 if task.task_id in ("update", "roll_back") else 2)
        bound = "response_timeout" if task.task_id == "approve" else "execution_timeout"
        assert getattr(task, bound)


@pytest.mark.parametrize("name", SPECS)
def test_a_champion_of_its_data_set_starts_it_and_nothing_else(
    dags: dict[str, Any], name: str
) -> None:
    dag = dags[f"deploy_{name}"]
    stored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    assert stored.timetable.partitioned and not stored.timetable.periodic
    heard = {key.uri for key, _ in stored.timetable.asset_condition.iter_assets()}
    made = {each.uri for each in dags[name].get_task("promote").outlets if isinstance(each, Asset)}
    assert heard == made == {assets.champion_of(name).uri}
    assert dag.max_active_runs == 1 and not dag.catchup and not dag.params


def test_what_an_event_must_say() -> None:
    assert asks_for_deployment({"changed": True, "backfill": False})
    assert not asks_for_deployment({"changed": False, "backfill": False})
    assert not asks_for_deployment({"changed": True, "backfill": True})


def test_the_question_names_both_versions_and_silence_is_no() -> None:
    question = ApproveDeployment(task_id="approve", dataset="titanic")
    plan = {"version": "3", "before": {"version": "2"}}

    class Instance:
        def xcom_pull(self, task_ids: str) -> Any:
            return plan if task_ids == "plan" else None

    question.render_template_fields({"ti": Instance()})  # type: ignore[typeddict-item]
    assert question.subject == "Deploy version 3 of titanic?"
    assert question.body == (
        "In service now: version 2. Reject, or no answer for 2 days, leaves it so."
    )
    assert question.defaults == ["Reject"]


def test_champions_out_of_the_spool_are_announced_to_those_that_listen(
    dags: dict[str, Any],
) -> None:
    dag = dags["log_spooled"]
    edges = {task.task_id: set(task.downstream_task_ids) for task in dag.tasks}
    names = {*SPECS, "home_credit"}
    announcing = {f"announce_{name}" for name in names}
    assert edges == {"log_spooled": announcing, **{task: set() for task in announcing}}
    assert dag.get_task("log_spooled").outlets == []
    for name in names:
        assert dag.get_task(f"announce_{name}").outlets == [assets.champion_of(name)]
