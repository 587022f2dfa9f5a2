"""One watch over many jobs: their logs are read in turns, and reading holds up nothing else."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError

from millrace.jobs import watch as watch_module
from millrace.jobs.job import Job, Lines, Request, State, Status
from millrace.jobs.watch import Turns, Watch
from tests.jobs.simulated import Simulated

JOBS = [Job(f"millrace-{number}", 1, f"millrace-{number}-1") for number in range(60)]


class SlowLogs(Simulated):
    """Readings that do not end before `go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def logs(self, job: Job, cursor: Mapping[str, Any]) -> Lines:
        self.calls.append("logs")
        self.go.wait(30)
        return Lines()


def test_turns_come_in_order_and_not_faster_than_allowed() -> None:
    order: list[int] = []

    async def one(turns: Turns, number: int) -> None:
        await turns.come()
        order.append(number)

    async def all_of_them() -> float:
        turns, begun = Turns(50), time.monotonic()
        await asyncio.gather(*(one(turns, number) for number in range(6)))
        return time.monotonic() - begun

    assert asyncio.run(all_of_them()) >= 0.1
    assert order == list(range(6))


def test_a_turn_that_nobody_waits_for_any_more_is_not_kept() -> None:
    async def wait_behind_those_who_left() -> float:
        turns, begun = Turns(10), time.monotonic()
        await turns.come()
        left = [asyncio.create_task(turns.come()) for _ in range(50)]
        await asyncio.sleep(0.01)
        for each in left:
            each.cancel()
        await turns.come()
        return time.monotonic() - begun

    assert asyncio.run(wait_behind_those_who_left()) < 4  # and not 50 turns


def test_an_urgent_reading_does_not_wait_behind_the_others() -> None:
    async def read() -> float:
        watch = Watch(Simulated(), 1)
        others = [asyncio.create_task(watch.logs(job, {})) for job in JOBS]
        await asyncio.sleep(0.05)
        begun = time.monotonic()
        await watch.logs(JOBS[0], {}, urgent=True)
        took = time.monotonic() - begun
        for each in others:
            each.cancel()
        return took

    assert asyncio.run(read()) < 10  # and not behind 60 readings, four a second


def test_readings_that_take_long_hold_up_no_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "LOG_READS", 1000.0)
    service = SlowLogs()
    job = service.start(Request("sagemaker_training", "millrace-a", {}, 60), 1)

    async def ask() -> tuple[Status | None, Sequence[str]]:
        watch = Watch(service, 0.01)
        reading = [asyncio.create_task(watch.logs(each, {})) for each in JOBS]
        while service.calls.count("logs") < watch_module.READERS:
            await asyncio.sleep(0.01)
        answer, calls = await watch.status(job), list(service.calls)
        assert not any(each.done() for each in reading)
        service.go.set()
        await asyncio.gather(*reading)
        return answer, calls

    answer, calls = asyncio.run(ask())
    assert answer is not None
    assert calls.count("logs") == watch_module.READERS


def test_renewed_credentials_are_taken_up() -> None:
    """A refusal is met by a new client once, before anybody hears of it."""
    refused, fresh = Simulated(), Simulated()
    fresh.endless = True
    job = fresh.start(Request("sagemaker_training", "millrace-a", {}, 60), 1)
    answer = {"Error": {"Code": "ExpiredTokenException", "Message": "expired"}}
    refused.trouble = [ClientError(answer, "ListTrainingJobs")]
    watch = Watch(refused, 0.01, lambda: fresh)
    status = asyncio.run(watch.status(job))
    assert status is not None and status.state is State.RUNNING
    assert watch.backend is fresh
