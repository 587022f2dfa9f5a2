"""What wakes the DAG `arrivals`, and what a scan takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction

from millrace.arrivals.trigger import QUIET, recent, schedule_of_arrivals, start_of
from millrace.lake import LocalStore
from millrace.settings import Settings
from tests.dags.conftest import parse
from tests.orchard import orchard

QUEUE = "https://sqs.eu-central-1.amazonaws.com/123456789012/uploads"
DAY = 24 * 3600.0


@pytest.fixture
def dag(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    monkeypatch.setenv("MILLRACE_LAKE", "s3://lake")
    monkeypatch.setenv("MILLRACE_EVENTS_QUEUE", request.param)
    return parse()["arrivals"]


@pytest.mark.parametrize(("dag", "paused"), [("", True), (QUEUE, False)], indirect=["dag"])
def test_a_queue_wakes_the_dag_besides_the_scan(dag: Any, paused: bool) -> None:
    assert dag.is_paused_upon_creation == paused
    assert {task.task_id: set(task.downstream_task_ids) for task in dag.tasks} == {
        "find_arrivals": {"start_run"}, "start_run": {"acknowledge"}, "acknowledge": set(),
    }  # fmt: skip
    scheduled = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    tick = scheduled.timetable.next_dagrun_info_v2(
        last_dagrun_info=None,
        restriction=_since(pendulum.datetime(2026, 1, 1, 0, 1)),
    )
    assert tick.run_after == pendulum.datetime(2026, 1, 1, 0, 10)


def _since(moment: Any) -> Any:
    return TimeRestriction(earliest=moment, latest=None, catchup=True)


@pytest.mark.parametrize("dag", [QUEUE], indirect=True)
def test_messages_stay_in_the_queue_until_they_are_acknowledged(dag: Any) -> None:
    (asset,) = dag.timetable.asset_condition.objects
    (watcher,) = asset.watchers
    trigger = watcher.trigger
    assert trigger.sqs_queue == QUEUE
    assert not trigger.delete_message_on_reception
    assert trigger.visibility_timeout > 0
    acknowledge = dag.get_task("acknowledge")
    assert acknowledge.trigger_rule == "none_failed", "skipped starts are fine, failed ones are not"


@pytest.mark.parametrize("dag", [""], indirect=True)
def test_every_start_is_one_that_the_operator_takes(dag: Any, tmp_path: Path) -> None:
    store = deliver(tmp_path, 100.0)
    (arrival,) = recent(store, {"orchard": orchard()}, 100.0 + QUIET)
    options = dag.get_task("start_run").partial_kwargs | start_of(arrival)
    start_run = TriggerDagRunOperator(task_id="start_run", **options)
    assert start_run.trigger_dag_id == "orchard"
    assert start_run.trigger_run_id == arrival.run_id
    assert start_run.conf == {"partition": "2026-01-05"}
    assert start_run.skip_when_already_exists
    assert start_run.logical_date is None, "two partitions may start in the same second"


def deliver(lake: Path, modified: float) -> LocalStore:
    path = lake / "raw/orchard/2026-01-05/a.csv"
    path.parent.mkdir(parents=True)
    path.write_text("x")
    os.utime(path, (modified, modified))
    return LocalStore(lake)


@pytest.mark.parametrize(
    ("age", "taken"),
    [(QUIET - 1, False), (QUIET + 1, True), (6.9 * DAY, True), (7.1 * DAY, False)],
)
def test_a_scan_takes_what_came_lately_and_is_written_to_its_end(
    tmp_path: Path, age: float, taken: bool
) -> None:
    store = deliver(tmp_path, 1e9 - age)
    assert bool(recent(store, {"orchard": orchard()}, 1e9)) == taken


def test_on_s3_a_file_is_whole_at_once(tmp_path: Path) -> None:
    store = deliver(tmp_path, 1e9 + 1)  # S3's clock may be ahead of ours
    store.root = "s3://lake"
    assert recent(store, {"orchard": orchard()}, 1e9)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"MILLRACE_LAKE": "s3://lake"},
        {"MILLRACE_EVENTS_QUEUE": QUEUE, "MILLRACE_LAKE": "/lake"},
    ],
)
def test_without_a_queue_or_a_bucket_there_is_the_scan_alone(environment: dict[str, str]) -> None:
    settings = Settings.from_environment(environment)
    assert schedule_of_arrivals(settings) == "*/10 * * * *"
