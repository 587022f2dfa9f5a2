"""A service of jobs in memory: what the waiting side is tested on, without any cloud."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from millrace.jobs.job import Job, Lines, NameTaken, Request, State, Status


class Simulated:
    """Jobs that run for some seconds of real time, count the calls, and say what they are told to.

    Attributes:
        calls: names of the verbs that were called, in order.
        trouble: errors that the next calls of `poll` raise, first to last.
    """

    unique_names = True

    def __init__(self, seconds: float = 0.1, patience: float = 0.2):
        self.seconds, self.patience = seconds, patience
        self.calls: list[str] = []
        self.trouble: list[Exception] = []
        self.started: dict[Job, float] = {}
        self.ended: dict[Job, Status] = {}
        self.lines: dict[Job, list[str]] = {}
        self.endless = False

    def find(self, name: str, home: str = "") -> tuple[Job, Status] | None:
        self.calls.append("find")
        tries = [job for job in self.started if job.name == name]
        return (tries[-1], self._status(tries[-1])) if tries else None

    def start(self, request: Request, number: int) -> Job:
        self.calls.append("start")
        job = Job(request.name, number, f"{request.name}-{number}", request.home)
        if job in self.started:
            raise NameTaken(str(job))
        self.started[job] = time.monotonic()
        return job

    def poll(self, jobs: Sequence[Job]) -> dict[Job, Status]:
        self.calls.append("poll")
        if self.trouble:
            raise self.trouble.pop(0)
        return {job: self._status(job) for job in jobs if job in self.started}

    def logs(self, job: Job, cursor: Mapping[str, Any]) -> Lines:
        self.calls.append("logs")
        read = cursor.get("read", 0)
        lines = self.lines.get(job, [])
        return Lines(lines[read:], {"read": len(lines)})

    def stop(self, job: Job) -> None:
        self.calls.append("stop")
        self.ended.setdefault(job, Status(State.STOPPED, "Stopped"))

    def tidy(self, job: Job) -> None:
        self.calls.append("tidy")

    def link(self, job: Job) -> str:
        return f"https://console/{job.id}"

    def _status(self, job: Job) -> Status:
        if job in self.ended:
            return self.ended[job]
        ran = time.monotonic() - self.started[job]
        if ran < self.seconds or self.endless:
            return Status(State.RUNNING, "Training", seconds=ran)
        return Status(State.SUCCEEDED, "Completed", seconds=self.seconds)
