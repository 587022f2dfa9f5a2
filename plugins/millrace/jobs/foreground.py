"""Follows a job from a command line: what the triggerer does for a task, for a person who waits."""

from __future__ import annotations

import time
from collections.abc import Callable

from millrace.jobs.job import Backend, Job, Request, State, Status
from millrace.jobs.outcome import EXPIRED
from millrace.jobs.work import obtain
from millrace.lake import Store


def follow(
    backend: Backend, store: Store, request: Request, interval: float,
    tell: Callable[[str], None],
) -> tuple[Job, Status]:  # fmt: skip
    """Start the job, or find it, and wait until it has ended.

    A job that reaches the limit of its request is stopped.

    Args:
        store: the lake, whose leases keep others from changing the same thing.
        interval: seconds between two questions.
        tell: gets each change of its state, and each line of its log.
    """
    job = obtain(backend, store, request).job
    tell(f"{job}: {backend.link(job)}")
    said, cursor, end = "", dict[str, object](), time.monotonic() + request.limit
    while True:
        status = backend.poll([job]).get(job, Status(State.STOPPED, "gone"))
        came = backend.logs(job, cursor)
        cursor = dict(came.cursor)
        for line in came.lines:
            tell(line)
        if status.detail != said:
            said = status.detail
            tell(f"{status.state}: {said}")
        if status.state.ended:
            return job, status
        if time.monotonic() > end:
            backend.stop(job)
            return job, Status(State.STOPPED, status.detail, EXPIRED)
        time.sleep(interval)
