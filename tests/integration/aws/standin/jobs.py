"""What every kind of job shares: its record, its thread, its at most one process."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.integration.aws.standin.faults import Fault
from tests.integration.aws.standin.processes import OnLine, Process
from tests.integration.aws.standin.storage import Store

if TYPE_CHECKING:
    from tests.integration.aws.standin.cloud import Cloud

log = logging.getLogger(__name__)


class Stopped(Exception):
    """Somebody asked the job to stop."""


class Expired(Exception):
    """The job reached its time limit."""


class Failed(Exception):
    """The job failed; the text is AWS's reason."""


class Job:
    """One submitted job.

    Args:
        role: ARN of the role whose rights the job has.
        fault: what is to go wrong with it.
    """

    service = ""

    def __init__(
        self, cloud: Cloud, name: str, region: str, role: str, tags: Mapping[str, str],
        fault: Fault | None,
    ):  # fmt: skip
        self.cloud, self.name, self.region, self.role = cloud, name, region, role
        self.tags, self.fault = dict(tags), fault
        self.created, self.starts = time.time(), 0
        self.ended: float | None = None
        self.process: Process | None = None
        self.stop_asked = threading.Event()
        self.stop_at_once = False  # with SIGKILL, not SIGTERM first
        self.folder = cloud.folder / "jobs" / self.service / name
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def state(self) -> str:
        raise NotImplementedError

    def run(self) -> None:
        """Everything from submission to the end."""
        raise NotImplementedError

    def break_down(self, reason: str) -> None:
        """End in the service's failed state: the stand-in itself went wrong."""
        raise NotImplementedError

    @cached_property
    def store(self) -> Store:
        """S3 with the rights of the job's role."""
        return self.cloud.store(self.role, self.region)

    @property
    def title(self) -> str:
        """What whoever submitted it calls it."""
        return self.name

    def begin(self) -> None:
        self.cloud.listed.append(self)
        threading.Thread(target=self._run, name=f"{self.service} {self.name}", daemon=True).start()

    def _run(self) -> None:
        try:
            self.run()
        except Exception as error:
            log.exception("the stand-in's own error in %s %s", self.service, self.name)
            self.break_down(f"InternalServerError: the stand-in's own error: {error!r}")
        finally:
            self.ended = self.ended or time.time()

    def entry(self) -> dict[str, Any]:
        """The job as the stand-in lists it."""
        process = self.process
        return {
            "service": self.service, "name": self.name, "title": self.title,
            "state": self.state,
            "starts": self.starts, "created": self.created, "ended": self.ended,
            "tags": self.tags, "role": self.role, "pid": process.pid if process else None,
        }  # fmt: skip

    def stay(self, state: str) -> None:
        """Spend the time that a state takes.

        Raises:
            Stopped: the job was asked to stop.
        """
        if self.stop_asked.wait(self.cloud.pace[state]):
            raise Stopped

    def stay_for_ever(self, limit: float | None = None) -> None:
        """Hold the running state until somebody stops the job or its time is over."""
        if not self.stop_asked.wait(limit):
            raise Expired
        raise Stopped

    def execute(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path,
        on_line: OnLine, *, limit: float | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> int:  # fmt: skip
        """Run a command to its end; returns the exit code.

        Raises:
            Stopped: the job was asked to stop; the process has ended.
            Expired: the process was ended after `limit` seconds.
        """
        self.starts += 1
        process = self.process = Process(self.cloud.guard, command, environment, folder, on_line)
        deadline = time.monotonic() + limit if limit else None
        try:
            while process.wait(0.05) is None:
                if self.stop_asked.is_set():
                    process.end(0 if self.stop_at_once else self.cloud.pace["grace"])
                    raise Stopped
                if deadline and time.monotonic() > deadline:
                    process.end(self.cloud.pace["grace"])
                    raise Expired
                if meanwhile:
                    meanwhile()
        finally:
            code = process.finish()
            self.process = None
        return code

    def environment(self) -> dict[str, str]:
        """What the script finds in its environment: a clean machine and the role's credentials."""
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        kept = ("JAVA_HOME", "LD_LIBRARY_PATH", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
        return {
            "PATH": f"{Path(python()).parent}:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "HOME": str(self.folder), "TMPDIR": str(temporary), "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1",
            # Many jobs share the cores; threads that spin while they wait starve the others.
            "OMP_WAIT_POLICY": "PASSIVE",
            **{name: os.environ[name] for name in kept if name in os.environ},
            **self.cloud.credentials(self.role, self.region),
        }  # fmt: skip


def python() -> str:
    """The interpreter of jobs: STANDIN_PYTHON, or the stand-in's own."""
    return os.environ.get("STANDIN_PYTHON") or sys.executable
