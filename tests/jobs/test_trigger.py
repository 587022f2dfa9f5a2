"""The waiting side: it passes lines on, rides out trouble, keeps limits, and asks together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from millrace.jobs import trigger as trigger_module
from millrace.jobs.job import Job, Request, State, Status
from millrace.jobs.trigger import JobTrigger
from tests.jobs.simulated import Simulated


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulated]:
    service = Simulated()
    monkeypatch.setattr(trigger_module, "open_backend", lambda *_: service)
    yield service


def started(service: Simulated, name: str = "millrace-a") -> Job:
    return service.start(Request("sagemaker_training", name, {}, 60), 1)


def trigger_of(job: Job, **options: Any) -> JobTrigger:
    fields = {"name": job.name, "number": job.number, "id": job.id, "home": job.home}
    given: dict[str, Any] = {"limit": 60.0, "interval": 0.02, **options}
    return JobTrigger("sagemaker_training", fields, "aws_default", "eu-west-3", **given)


async def event_of(trigger: JobTrigger) -> dict[str, Any]:
    async for event in trigger.run():
        payload: dict[str, Any] = event.payload
        return payload
    raise AssertionError("no event")


def test_a_trigger_comes_back_from_the_database_as_it_was(service: Simulated) -> None:
    trigger = trigger_of(started(service), cursor={"read": 3})
    path, options = trigger.serialize()
    assert path == "millrace.jobs.trigger.JobTrigger"
    again = JobTrigger(**options)
    assert again.serialize() == trigger.serialize()
    assert again.job == trigger.job


def test_lines_reach_the_log_and_the_end_is_told(
    service: Simulated, capsys: pytest.CaptureFixture[str]
) -> None:
    job = started(service)
    service.lines[job] = ["fold 1 of 5", "fold 2 of 5"]
    event = asyncio.run(event_of(trigger_of(job)))
    assert event["state"] == "succeeded"
    assert event["tail"] == ["fold 1 of 5", "fold 2 of 5"]
    said = capsys.readouterr().out
    assert said.index("fold 1 of 5") < said.index("fold 2 of 5") < said.index("Completed")


def test_reading_goes_on_at_the_cursor(service: Simulated) -> None:
    job = started(service)
    service.lines[job] = ["one", "two", "three"]
    event = asyncio.run(event_of(trigger_of(job, cursor={"read": 2})))
    assert (event["tail"], event["cursor"]) == (["three"], {"read": 3})


def test_trouble_with_the_service_is_waited_out(
    service: Simulated, capsys: pytest.CaptureFixture[str]
) -> None:
    job = started(service)
    service.trouble = [ConnectionError("reset"), TimeoutError("slow")]
    event = asyncio.run(event_of(trigger_of(job)))
    assert event["state"] == "succeeded"
    assert "asking again: reset" in capsys.readouterr().out


def test_a_service_that_stays_silent_sends_the_task_to_look_for_itself(
    service: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trigger_module, "TROUBLE", 0.1)
    job = Job("millrace-unheard-of", 1, "millrace-unheard-of-1")
    event = asyncio.run(event_of(trigger_of(job)))
    assert event["state"] is None


def test_a_job_that_runs_for_too_long_is_stopped(service: Simulated) -> None:
    service.endless = True
    job = started(service)
    event = asyncio.run(event_of(trigger_of(job, limit=0.1)))
    assert service.calls.count("stop") == 1
    assert (event["state"], event["expired"]) == ("stopped", True)


def test_a_rough_time_from_a_listing_stops_nothing(service: Simulated) -> None:
    job = started(service)
    exact = service.poll

    def rough_for_many(jobs: Sequence[Job]) -> dict[Job, Status]:
        service.poll = exact  # type: ignore[method-assign]
        return {each: Status(State.RUNNING, "InProgress", seconds=1e6) for each in jobs}

    service.poll = rough_for_many  # type: ignore[method-assign]
    event = asyncio.run(event_of(trigger_of(job)))
    assert "stop" not in service.calls
    assert event["state"] == "succeeded"


def test_late_lines_of_a_failure_are_waited_for(service: Simulated) -> None:
    service.patience = 2.0
    job = started(service)
    service.ended[job] = Status(State.FAILED, "Failed", "ExitCode 1")

    async def with_late_lines() -> dict[str, Any]:
        waiting = asyncio.create_task(event_of(trigger_of(job)))
        await asyncio.sleep(0.3)
        service.lines[job] = ["ValueError: no"]
        return await waiting

    event = asyncio.run(with_late_lines())
    assert event["tail"] == ["ValueError: no"]


def test_the_lines_of_a_job_that_somebody_stopped_are_not_waited_for(service: Simulated) -> None:
    service.patience = 60.0
    job = started(service)
    service.ended[job] = Status(State.STOPPED, "CANCELLED", "Step was cancelled by user")
    begun = time.monotonic()
    event = asyncio.run(event_of(trigger_of(job)))
    assert event["state"] == "stopped"
    assert time.monotonic() - begun < 15


def test_a_person_who_stops_the_task_stops_the_job(service: Simulated) -> None:
    service.endless = True
    job = started(service)
    asyncio.run(trigger_of(job).on_kill())
    assert service.ended[job].state is State.STOPPED


def test_a_restart_of_the_triggerer_stops_nothing(service: Simulated) -> None:
    service.endless = True
    trigger = trigger_of(started(service))

    async def interrupted() -> None:
        waiting = asyncio.create_task(event_of(trigger))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await trigger.cleanup()

    asyncio.run(interrupted())
    assert "stop" not in service.calls


def test_many_jobs_are_asked_about_together(
    service: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [started(service, f"millrace-{number}") for number in range(200)]

    monkeypatch.setattr(trigger_module, "LINGER", 0.2)

    async def all_of_them() -> list[dict[str, Any]]:
        return await asyncio.gather(*(event_of(trigger_of(job, interval=0.1)) for job in jobs))

    events = asyncio.run(all_of_them())
    assert {event["state"] for event in events} == {"succeeded"}
    assert service.calls.count("poll") <= 5
    assert service.calls.count("logs") <= 2 * len(jobs)
