"""One watch over all jobs of a service that a process waits for.

A thousand deferred tasks must not mean a thousand calls a round: the jobs are asked about
together, and their logs are read in turns, so that an account's limits are kept. Reading has its
own threads: however slow it is, it holds up no question and nothing else of the triggerer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from weakref import WeakKeyDictionary

from millrace.aws.errors import explain
from millrace.jobs.job import Backend, Job, Lines, Status

# Jobs a second whose logs are read, once for those that run and once for those that failed. Each
# reading is two or three calls; CloudWatch allows 25 a second of each kind.
LOG_READS = 4.0
READERS = 4  # readings at the same time


class Turns:
    """Lets one after the other go on, first come, first served, at most so many a second."""

    def __init__(self, a_second: float):
        self._pause, self._next, self._queue = 1 / a_second, 0.0, asyncio.Lock()

    async def come(self) -> None:
        """Return when it is the caller's turn."""
        async with self._queue:
            await asyncio.sleep(self._next - time.monotonic())
            self._next = time.monotonic() + self._pause


class Watch:
    """What the tasks of one process share while they wait for jobs of one backend.

    Args:
        interval: seconds between two rounds of asking.
        reopen: opens the backend anew, with the credentials of that moment.
    """

    def __init__(
        self, backend: Backend, interval: float, reopen: Callable[[], Backend] | None = None
    ):
        self.backend, self.interval, self._reopen = backend, interval, reopen
        self._waiting: dict[Job, asyncio.Future[Status | None]] = {}
        self._rounds: asyncio.Task[None] | None = None
        self._turns = {urgent: Turns(LOG_READS) for urgent in (False, True)}
        self._readers = ThreadPoolExecutor(READERS, "job-logs")

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

    async def logs(self, job: Job, cursor: Mapping[str, Any], *, urgent: bool = False) -> Lines:
        """The lines that came since `cursor`, read when it is this job's turn.

        Args:
            urgent: wait behind other urgent readings only.
        """
        await self._turns[urgent].come()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self.backend.logs, job, cursor)

    async def _ask(self) -> None:
        """Rounds, for as long as somebody waits."""
        await asyncio.sleep(0)  # lets all tasks that start together into the first round
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            try:
                found = await asyncio.to_thread(self._poll, list(waiting))
            except Exception as error:
                for future in waiting.values():
                    future.set_exception(error)
                    future.exception()  # nobody asks for it whose task was stopped meanwhile
            else:
                for job, future in waiting.items():
                    future.set_result(found.get(job))
            await asyncio.sleep(self.interval)

    def _poll(self, jobs: list[Job]) -> dict[Job, Status]:
        """Ask; after a refusal once more with a new client: credentials may have been renewed."""
        try:
            return self.backend.poll(jobs)
        except Exception as error:
            if self._reopen is None or not explain(error):
                raise
        self.backend = self._reopen()
        return self.backend.poll(jobs)


# By event loop, of which a triggerer has one.
_WATCHES: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Any, asyncio.Task[Watch]]]
_WATCHES = WeakKeyDictionary()


async def watch_of(key: Any, open_backend: Callable[[], Backend], interval: float) -> Watch:
    """The watch that all tasks of this event loop share; opened once, in a thread."""

    async def make() -> Watch:
        return Watch(await asyncio.to_thread(open_backend), interval, open_backend)

    watches = _WATCHES.setdefault(asyncio.get_running_loop(), {})
    made = watches.get(key)
    if made is None or (made.done() and (made.cancelled() or made.exception())):
        made = watches[key] = asyncio.create_task(make())
    return await asyncio.shield(made)
