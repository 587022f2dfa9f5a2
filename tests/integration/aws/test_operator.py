"""The two halves of a task that waits for a job, and what ends it in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferralError, TaskDeferralTimeout, TaskDeferred

from millrace.jobs.job import JobFailed
from millrace.steps.run import Run
from tests.integration.aws.in_task import deferral_of, training_task
from tests.integration.aws.standin import StandIn
from tests.integration.aws.standin.tryout import wait
from tests.steps.club import make_bucket

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("connection")]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("aws"), pace={"state": 0.05}) as started:
        make_bucket(started, "club")
        yield started


def state_of(aws: StandIn, waiting: dict[str, Any]) -> str:
    (found,) = aws.jobs(name=waiting["job"]["id"])
    return str(found["state"])


def ended(aws: StandIn, waiting: dict[str, Any]) -> None:
    wait(lambda: aws.jobs(name=waiting["job"]["id"])[0]["ended"])


def endless(aws: StandIn) -> None:
    aws.fault({"fault": "never_ends", "operation": "CreateTrainingJob", "times": 1})


def test_a_task_that_runs_out_of_time_while_deferred_stops_its_job(
    aws: StandIn, run_with: Callable[..., Run]
) -> None:
    endless(aws)
    operator, context = training_task(run_with())
    waiting = deferral_of(operator, context)
    with pytest.raises(TaskDeferralTimeout):
        operator.resume_execution("__fail__", {"error": "Trigger timeout"}, context)
    ended(aws, waiting)
    assert state_of(aws, waiting) == "Stopped"


def test_a_trigger_that_broke_leaves_its_job_to_the_retry(
    aws: StandIn, run_with: Callable[..., Run]
) -> None:
    run = run_with()
    operator, context = training_task(run)
    waiting = deferral_of(operator, context)
    with pytest.raises(TaskDeferralError):
        operator.resume_execution("__fail__", {"error": "Trigger failure"}, context)
    ended(aws, waiting)
    again, context = training_task(run)
    assert again.execute(context) == "good"
    assert len(aws.jobs(name=waiting["job"]["id"])) == 1
    assert state_of(aws, waiting) == "Completed"


def test_a_worker_that_is_told_to_end_stops_the_job(
    aws: StandIn, run_with: Callable[..., Run]
) -> None:
    endless(aws)
    operator, context = training_task(run_with())
    waiting = deferral_of(operator, context)
    operator.on_kill()
    ended(aws, waiting)
    assert state_of(aws, waiting) == "Stopped"


def test_a_job_that_ran_for_too_long_is_a_failure_that_names_the_setting(
    aws: StandIn, run_with: Callable[..., Run]
) -> None:
    endless(aws)
    operator, context = training_task(run_with(MILLRACE_JOB_TIMEOUT="1"))
    waiting = deferral_of(operator, context)
    ended(aws, waiting)
    with pytest.raises(JobFailed, match=r"time limit of 1 s.*MILLRACE_JOB_TIMEOUT"):
        operator.complete(context, {}, **waiting)


def test_a_finished_job_whose_output_is_gone_is_done_anew(
    aws: StandIn, run_with: Callable[..., Run]
) -> None:
    run = run_with()
    operator, context = training_task(run)
    first = deferral_of(operator, context)
    ended(aws, first)
    run.store.delete(f"jobs/{run.spec.name}/{run.partition}/{first['job']['id']}")
    again, context = training_task(run)
    second = deferral_of(again, context)
    assert second["job"]["number"] == 2
    ended(aws, second)
    assert again.complete(context, {}, **second) == "good"


def test_a_job_that_was_found_and_then_stopped_is_started_anew(
    aws: StandIn, run_with: Callable[..., Run]
) -> None:
    endless(aws)
    run = run_with()
    operator, context = training_task(run)
    deferral_of(operator, context)
    again, later = training_task(run)
    waiting = deferral_of(again, later)
    assert waiting["found"]
    operator.on_kill()
    ended(aws, waiting)
    with pytest.raises(TaskDeferred) as deferred:
        again.complete(later, {}, **waiting)
    assert (deferred.value.kwargs or {})["job"]["number"] == 2


def test_no_note_is_left_of_a_job_that_has_ended(
    aws: StandIn, run_with: Callable[..., Run]
) -> None:
    run = run_with()
    operator, context = training_task(run)
    waiting = deferral_of(operator, context)
    place = f"jobs/waiting/{waiting['job']['name']}"
    assert len(run.store.list(place)) == 1
    ended(aws, waiting)
    assert operator.complete(context, {}, **waiting) == "good"
    assert run.store.list(place) == []
