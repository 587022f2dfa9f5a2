"""The ledger finds jobs that nobody waits for any more, and leaves all others alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from millrace.jobs.job import Job, Request, State, Status
from millrace.jobs.ledger import AREA, Waiting, erase, note, stop_jobs_of, stop_orphans
from millrace.lake import LocalStore
from tests.jobs.simulated import Simulated

TASK = Waiting(
    "sagemaker_training",
    "millrace-a",
    "",
    "aws_default",
    "eu-west-3",
    "titanic",
    "run-1",
    "train",
    0,
)
OTHER_RUN = replace(TASK, run_id="run-2")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.fixture
def service() -> Simulated:
    service = Simulated()
    service.endless = True
    return service


def started(service: Simulated, name: str = TASK.name) -> Job:
    return service.start(Request("sagemaker_training", name, {}, 60), 1)


def sweep(store: LocalStore, service: Simulated, *alive: Waiting) -> int:
    return stop_orphans(store, lambda task: task in alive, lambda *_: service)


def test_a_note_can_be_made_twice_and_taken_out(store: LocalStore) -> None:
    note(store, TASK)
    note(store, TASK)
    assert len(store.list(AREA)) == 1
    erase(store, TASK)
    assert store.list(AREA) == []


def test_a_job_that_nobody_waits_for_is_stopped_and_then_forgotten(
    store: LocalStore, service: Simulated
) -> None:
    job = started(service)
    note(store, TASK)
    assert sweep(store, service) == 1
    assert service.ended[job].state is State.STOPPED
    assert sweep(store, service) == 0
    assert "tidy" in service.calls
    assert store.list(AREA) == []


@pytest.mark.parametrize("alive", [TASK, OTHER_RUN])
def test_one_task_that_waits_keeps_the_job(
    store: LocalStore, service: Simulated, alive: Waiting
) -> None:
    started(service)
    note(store, TASK)
    note(store, OTHER_RUN)
    assert sweep(store, service, alive) == 0
    assert "stop" not in service.calls
    assert len(store.list(AREA)) == 2


def test_a_job_that_was_never_started_is_forgotten(store: LocalStore, service: Simulated) -> None:
    note(store, TASK)
    assert sweep(store, service) == 0
    assert store.list(AREA) == []


def test_one_that_cannot_be_looked_into_holds_up_no_other(
    store: LocalStore, service: Simulated
) -> None:
    class Refusing(Simulated):
        def find(self, name: str, home: str = "") -> tuple[Job, Status] | None:
            raise ConnectionError("no way")

    later = replace(TASK, name="millrace-b")
    job = started(service, later.name)
    note(store, replace(TASK, kind="emr_step"))
    note(store, later)
    with pytest.raises(RuntimeError, match="1 jobs could not be looked into"):
        stop_orphans(
            store, lambda _: False, lambda kind, *_: Refusing() if kind == "emr_step" else service
        )
    assert service.ended[job].state is State.STOPPED
    assert [entry.key.split("/")[2] for entry in store.list(AREA)] == ["millrace-a", "millrace-b"]


def test_all_jobs_of_one_task_are_stopped_and_no_others(
    store: LocalStore, service: Simulated
) -> None:
    mine, older, others = (
        started(service),
        started(service, "millrace-b"),
        started(service, "millrace-c"),
    )
    for task in (TASK, replace(TASK, name="millrace-b"), replace(OTHER_RUN, name="millrace-c")):
        note(store, task)
    stop_jobs_of(store, TASK.owner, lambda *_: service)
    assert {mine, older} == set(service.ended)
    assert others not in service.ended
