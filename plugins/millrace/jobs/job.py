"""A job: work that runs for long outside the worker, and what every backend can do with one.

A job's name is a function of what is to be run (`names.py`), so whoever asks for the same work
finds the job that does it. Tries are numbered: the first is `<name>-1`; a further one is started
only after the one before it failed or was stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from millrace.errors import MillraceError

TRY = "{try}"  # stands for the number of the try in the body of a request


class State(StrEnum):
    """Where a job stands; every backend translates its service's words into these."""

    WAITING = "waiting"  # accepted; nothing is computed yet
    RUNNING = "running"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"  # by a person, a time limit or the service: no success

    @property
    def ended(self) -> bool:
        """Whether the job will never change again."""
        return self in (State.SUCCEEDED, State.FAILED, State.STOPPED)


@dataclass(frozen=True)
class Job:
    """One started job.

    Attributes:
        name: the name the work goes by, without the number of the try.
        number: which try this is, from 1.
        id: what the service knows the job by.
        home: the cluster or application it runs on, empty where the service has none.
    """

    name: str
    number: int
    id: str
    home: str = ""

    def __str__(self) -> str:
        return f"{self.name}-{self.number}"


@dataclass(frozen=True)
class Status:
    """What a service says of a job.

    Attributes:
        detail: the service's own word for the state, such as `Downloading`.
        reason: why it failed or stopped, in the service's words.
        seconds: seconds it has run so far, and those that are billed once it has ended; None where
            the service does not say.
        scanned: bytes that a query has read, once it has ended; None for other jobs.
    """

    state: State
    detail: str = ""
    reason: str = ""
    seconds: float | None = None
    scanned: int | None = None


@dataclass(frozen=True)
class Request:
    """What is to be run.

    Attributes:
        kind: the backend: `sagemaker_training`, `sagemaker_transform`, `emr_step`,
            `emr_serverless`, `emr_cluster`, `athena`, `ecs_deployment`, `ecs_rollback`.
        name: the name the work goes by.
        body: arguments of the service's start call, without the name of the job; see `body_of`.
        limit: seconds it may run.
        home: the cluster or application it runs on, empty where the service has none.
        hourly: estimated price of an hour, in US dollars; None where it is not known.
        terabyte: estimated price of what a query reads, in US dollars a TB; None where it is not
            known, and for all jobs that are paid by the hour.
        alone: what only one job may change at a time, such as a service; empty where jobs of other
            names do no harm.
    """

    kind: str
    name: str
    body: Mapping[str, Any]
    limit: float
    home: str = ""
    hourly: float | None = None
    terabyte: float | None = None
    alone: str = ""

    def body_of(self, number: int) -> dict[str, Any]:
        """The body of one try: `{try}` in any text of it becomes the number."""
        return {key: _numbered(value, str(number)) for key, value in self.body.items()}


def _numbered(value: Any, number: str) -> Any:
    if isinstance(value, str):
        return value.replace(TRY, number)
    if isinstance(value, Mapping):
        return {key: _numbered(each, number) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_numbered(each, number) for each in value]
    return value


@dataclass(frozen=True)
class Lines:
    """Log lines of a job, and where to read on.

    Attributes:
        lines: `<source> | <text>`, such as `stderr | ...`, or the text alone where there is one
            source.
        cursor: what `logs` takes to read on: JSON.
        complete: whether the job has ended and its service has given all lines, as far as can be
            told.
    """

    lines: Sequence[str] = ()
    cursor: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = False


class NameTaken(RuntimeError):
    """Another copy of this task has started the same try of the same job: find it."""


class JobFailed(MillraceError):
    """A job ended without success, and another try would end the same way."""


class JobStopped(RuntimeError):
    """A job was stopped from outside, or for want of capacity; another try may succeed."""


class Backend(Protocol):
    """What a service that runs jobs can do. All calls block; all raise botocore's errors."""

    unique_names: bool
    """Whether the service itself refuses a second job of one name."""
    patience: float
    """Seconds after its end that a failed job's last log lines may still be on their way."""

    def find(self, name: str, home: str = "") -> tuple[Job, Status] | None:
        """The latest try that goes by this name, None where there is none."""

    def start(self, request: Request, number: int) -> Job:
        """Start one try.

        Raises NameTaken where the service has a job of this name and number already.
        """

    def poll(self, jobs: Sequence[Job]) -> dict[Job, Status]:
        """What the service says of these jobs, in as few calls as it allows.

        A job that the service does not know is left out.
        """

    def logs(self, job: Job, cursor: Mapping[str, Any]) -> Lines:
        """The lines after `cursor` ({}: from the beginning) that the service holds by now."""

    def stop(self, job: Job) -> None:
        """Ask the service to stop a job; does nothing where it has ended or is unknown."""

    def tidy(self, job: Job) -> None:
        """Remove what was made only for a job that has ended."""

    def link(self, job: Job) -> str:
        """Address of the job's page in the service's console, empty where it has none."""
