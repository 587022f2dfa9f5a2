"""One watch over all jobs of a service that a process waits for.

A thousand deferred tasks must not mean a thousand calls a round: the jobs are asked about
together, and their logs are read in turns, so that an account's limits are kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from millrace.jobs.job import Backend, Job, Lines, Status

LOG_READS = 4.0  # jobs a second whose logs are read; CloudWatch allows 25 calls a second


class Watch:
    """What the tasks of one process share while they wait for jobs of one backend.

    Args:
        interval: seconds between two rounds of asking.
    """

    def __init__(self, backend: Backend, interval: float):
        self.backend, self.interval = backend, interval
        self._waiting: dict[Job, asyncio.Future[Status | None]] = {}
        self._rounds: asyncio.Task[None] | None = None
        self.watched = 0

    async def status(self, job: Job) -> Status | None:
        """What the service says of a job in the next round; None where it knows no such job.

        Raises:
            Exception: whatever the service answered in that round.
        """
        if job not in self._waiting:
            self._waiting[job] = asyncio.get_running_loop().create_future()
        if self._rounds is None or self._rounds.done():
            self._rounds = asyncio.create_task(self._ask())
        return await asyncio.shield(self._waiting[job])

    async def logs(self, job: Job, cursor: Mapping[str, Any]) -> Lines:
        """The lines that came since `cursor`."""
        return await asyncio.to_thread(self.backend.logs, job, cursor)

    @property
    def turn(self) -> float:
        """Seconds between two readings of one job's log: longer the more jobs there are."""
        return max(self.interval, self.watched / LOG_READS)

    async def _ask(self) -> None:
        """Rounds, for as long as somebody waits."""
        await asyncio.sleep(0)  # lets all tasks that start together into the first round
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            try:
                found = await asyncio.to_thread(self.backend.poll, list(waiting))
            except Exception as error:
                for future in waiting.values():
                    future.set_exception(error)
                    future.exception()  # nobody asks for it whose task was stopped meanwhile
            else:
                for job, future in waiting.items():
                    future.set_result(found.get(job))
            await asyncio.sleep(self.interval)


# By event loop, of which a triggerer has one.
_WATCHES: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Any, asyncio.Task[Watch]]]
_WATCHES = WeakKeyDictionary()


async def watch_of(key: Any, open_backend: Callable[[], Backend], interval: float) -> Watch:
    """The watch that all tasks of this event loop share; opened once, in a thread."""

    async def make() -> Watch:
        return Watch(await asyncio.to_thread(open_backend), interval)

    watches = _WATCHES.setdefault(asyncio.get_running_loop(), {})
    made = watches.get(key)
    if made is None or (made.done() and (made.cancelled() or made.exception())):
        made = watches[key] = asyncio.create_task(make())
    return await asyncio.shield(made)
