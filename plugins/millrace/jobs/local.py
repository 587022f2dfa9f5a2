"""A job as a child process: the same scripts, variables and folders as on SageMaker."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from millrace.jobs.causes import Tail, account
from millrace.jobs.child import LIMIT, Child, script_command
from millrace.jobs.job import Job, JobFailed, JobStopped, Lines, Request, State, Status

log = logging.getLogger(__name__)


class LocalProcess:
    """Jobs as child processes of the worker; they end with it, so none is ever found again.

    `Request.body` holds `script`, the path of a Python script, its `arguments` and its
    `environment`, variables on top of the worker's own. The time limit is kept here.
    """

    unique_names = False
    patience = 0.0

    def __init__(self) -> None:
        self._children: dict[str, Child] = {}

    def find(self, name: str, home: str = "") -> tuple[Job, Status] | None:
        return None

    def start(self, request: Request, number: int) -> Job:
        body = request.body
        command = script_command(body["script"], body.get("arguments", ()))
        child = Child(command, body.get("environment", {}), request.limit)
        self._children[child.id] = child
        return Job(request.name, number, child.id)

    def poll(self, jobs: Sequence[Job]) -> dict[Job, Status]:
        return {job: self._children[job.id].status() for job in jobs if job.id in self._children}

    def logs(self, job: Job, cursor: Mapping[str, Any]) -> Lines:
        """The lines written since the last call: a pipe gives them once, whatever the cursor.

        A job waits when nobody has read its last 64 kB.
        """
        child = self._children.get(job.id)
        return Lines(child.lines() if child else (), cursor)

    def stop(self, job: Job) -> None:
        if job.id in self._children:
            self._children[job.id].stop()

    def tidy(self, job: Job) -> None:
        """Forget a job that has ended, with the lines that nobody read."""
        if child := self._children.pop(job.id, None):
            child.end()

    def link(self, job: Job) -> str:
        return ""


def run_script(
    script: Path, arguments: Sequence[str], environment: Mapping[str, str], *, timeout: float
) -> float:
    """Run a Python script to its end, as `run_command` does."""
    command = script_command(str(script), arguments)
    return run_command(script.name, command, environment, timeout=timeout)


def run_command(
    name: str, command: Sequence[str], environment: Mapping[str, str], *, timeout: float
) -> float:
    """Run a command to its end and pass every line it writes to the task log.

    Nothing that it started outlives its end, its time limit or the worker.

    Args:
        name: file name of the script that it runs, for log and errors.
        environment: variables on top of the worker's own.
        timeout: seconds it may run.

    Returns:
        Seconds it ran.

    Raises:
        JobFailed: it exited with another code than 0, or reached the time limit.
        JobStopped: something else killed it.
    """
    child = Child(command, environment, timeout)
    tail, source = Tail(), Path(name).stem
    try:
        with _ended_with_task(child):
            for line in child.follow():
                tail.add([line])
                log.info("%s | %s", source, line)
    finally:
        child.end()
    status = child.status()
    if status.state is State.SUCCEEDED:
        return status.seconds or 0.0
    message = account(f"{name} {status.detail}", "", tail.lines())
    if status.state is State.FAILED or status.reason == LIMIT:
        raise JobFailed(message)
    raise JobStopped(message)


@contextmanager
def _ended_with_task(child: Child) -> Iterator[None]:
    """While this lasts, a task that is told to end ends its job."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: child.stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
