"""Waits for a job in the triggerer: passes its log on, keeps its limit, stops it on request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from millrace.aws.errors import explain
from millrace.jobs.backends import open_backend
from millrace.jobs.causes import Tail
from millrace.jobs.job import Job, State, Status
from millrace.jobs.outcome import EXPIRED
from millrace.jobs.watch import Watch, watch_of

TROUBLE = 900.0  # seconds without an answer after which the task looks for itself
WARN_EVERY = 60.0  # seconds between two warnings while there is none
QUIET = 2.0  # seconds without a line after which a job that succeeded has said all
LINGER = 4.0  # seconds at most for that, as where a great many succeed at once
LONGEST_LINE = 2000  # characters of a line that are handed on with the event


class JobTrigger(BaseTrigger):
    """Waits until a job has ended.

    The event holds `state`, `tail` (its last lines) and `cursor` (where its log was read to).

    Args:
        kind: backend of the job.
        job: the job, as a mapping of its fields.
        connection: id of the Airflow connection to AWS.
        region: region of the job.
        limit: seconds the job may run before it is stopped.
        interval: seconds between two questions to the service.
        cursor: where to read its log on from.
    """

    def __init__(
        self,
        kind: str,
        job: Mapping[str, Any],
        connection: str,
        region: str,
        limit: float,
        interval: float,
        cursor: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        self.kind, self.connection, self.region = kind, connection, region
        self.job, self.limit, self.interval = Job(**job), limit, interval
        self.cursor: Mapping[str, Any] = dict(cursor or {})
        self.tail = Tail()
        self.expired = self.complete = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The trigger as it is stored."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "kind": self.kind, "job": asdict(self.job), "connection": self.connection,
            "region": self.region, "limit": self.limit, "interval": self.interval,
            "cursor": self.cursor,
        }  # fmt: skip

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait; one event at the end."""
        watch = await self._watch()
        reading = asyncio.create_task(self._keep_reading(watch))
        try:
            status = await self._until_it_ends(watch)
        finally:
            reading.cancel()
        if status and (status.state is State.SUCCEEDED or self._was_stopped(status)):
            await self._read_until_quiet(watch)
        elif status:
            await self._wait_for_last_lines(watch)
        yield TriggerEvent(
            {
                "state": status.state if status else None,
                "expired": self.expired,
                "tail": [line[:LONGEST_LINE] for line in self.tail.lines()],
                "cursor": dict(self.cursor),
            }
        )

    def _was_stopped(self, status: Status) -> bool:
        """Whether somebody stopped the job: its log will not say why, and another try begins."""
        return status.state is State.STOPPED and not self.expired and status.reason != EXPIRED

    async def on_kill(self) -> None:
        """A person failed or cleared the task: stop the job."""
        watch = await self._watch()
        self.log.info("Stopping %s.", self.job)
        await asyncio.to_thread(watch.backend.stop, self.job)

    async def _watch(self) -> Watch:
        key = (self.kind, self.connection, self.region)
        return await watch_of(key, partial(open_backend, *key), self.interval)

    async def _until_it_ends(self, watch: Watch) -> Status | None:
        """The last status; None where the service gave no answer for too long."""
        said, answered, warned = "", time.monotonic(), 0.0
        while True:
            try:
                status = await watch.status(self.job)
                if status is None:
                    raise LookupError(f"the service does not know {self.job}")
            except Exception as error:
                now = time.monotonic()
                if now - answered > TROUBLE or explain(error):  # the task will meet it and say so
                    return None
                if now - warned > WARN_EVERY:
                    self.log.warning("No answer about %s, asking again: %s", self.job, error)
                    warned = now
                await asyncio.sleep(watch.interval)
                continue
            answered = time.monotonic()
            if status.detail != said:
                said = status.detail
                self.log.info("%s: %s", self.job, said)
            if status.state.ended:
                return status
            await self._keep_limit(watch, status)

    async def _keep_limit(self, watch: Watch, status: Status) -> None:
        """Stop a job that has run for too long, where the service does not do so itself."""
        if self.expired or not self._is_over(status):
            return
        # Asked about alone, a service tells more exactly how long a job has run.
        alone = await asyncio.to_thread(watch.backend.poll, [self.job])
        if self.job not in alone or not self._is_over(alone[self.job]):
            return
        self.log.warning("%s has reached its limit of %.0f s and is stopped.", self.job, self.limit)
        await asyncio.to_thread(watch.backend.stop, self.job)
        self.expired = True

    def _is_over(self, status: Status) -> bool:
        return status.seconds is not None and status.seconds > self.limit

    async def _keep_reading(self, watch: Watch) -> None:
        """Pass lines on beside the asking; what is cut off by the end is read by the task."""
        while True:
            await self._read_lines(watch)
            await asyncio.sleep(watch.interval)

    async def _read_lines(self, watch: Watch, *, urgent: bool = False) -> int:
        """Pass new lines on, when it is this job's turn; returns how many came."""
        try:
            came = await watch.logs(self.job, self.cursor, urgent=urgent)
        except Exception as error:
            self.log.warning("The log of %s cannot be read now: %s", self.job, error)
            return 0
        for line in came.lines:
            self.log.info("%s", line)
        self.tail.add(came.lines)
        self.cursor, self.complete = came.cursor, came.complete
        return len(came.lines)

    async def _read_until_quiet(self, watch: Watch) -> None:
        """Read what came with the end of a job that succeeded; its task does not wait for more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                await self._read_lines(watch, urgent=True)
                while True:
                    await asyncio.sleep(min(watch.interval, QUIET))
                    if not await self._read_lines(watch, urgent=True):
                        return

    async def _wait_for_last_lines(self, watch: Watch) -> None:
        """Wait for the lines that say why; they may come late.

        Done when the service has given all, when none came for half of the backend's patience
        after some had, or when the patience is over, as it may be where a great many fail at once:
        the task reads on then.
        """
        patience = watch.backend.patience
        quiet_since = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while not self.complete and not (
                    self.tail.lines() and time.monotonic() - quiet_since > patience / 2
                ):
                    if await self._read_lines(watch, urgent=True):
                        quiet_since = time.monotonic()
                    await asyncio.sleep(min(watch.interval, patience / 8))
