"""A running inference container, asked over pipes."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.integration.aws.standin.jobs import Failed, Job, Stopped, python
from tests.integration.aws.standin.processes import OnLine, Process

SCRIPT = Path(__file__).with_name("container.py")


class Container:
    """One container of a job; the job's request to stop ends it.

    Raises (each method):
        Stopped: the job was asked to stop.
        Failed: the container ended.
    """

    def __init__(
        self, job: Job, model: Path, code: Path, program: str, environment: Mapping[str, str],
        on_line: OnLine,
    ):  # fmt: skip
        self._job = job
        reading, writing = os.pipe()
        command = [python(), "-P", "-u", str(SCRIPT), str(model), str(code), program, str(writing)]
        job.starts += 1
        self._process = job.process = Process(
            job.cloud.guard, command, environment, code, on_line, channel=[writing], piped=True
        )
        os.close(writing)
        self._answers = os.fdopen(reading, "rb", buffering=0)

    def ready(self) -> None:
        """Wait until the model is loaded."""
        self._frame()

    def ask(self, body: bytes, content_type: str, accept: str) -> tuple[int, str]:
        """Status and text of the answer to one request."""
        head = {"length": len(body), "content_type": content_type, "accept": accept}
        try:
            self._process.stdin.write(json.dumps(head).encode() + b"\n" + body)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Failed("AlgorithmError: See job logs for more information") from None
        return self._frame()

    def close(self) -> None:
        """End the container."""
        self._process.end(0 if not self._job.stop_asked.is_set() else self._job.cloud.pace["grace"])
        self._job.process = None
        with suppress(OSError):
            self._answers.close()

    def _frame(self) -> tuple[int, str]:
        head = b""
        while not head.endswith(b"\n"):
            head += self._read(1)
        facts = json.loads(head)
        body = b""
        while len(body) < facts["length"]:
            body += self._read(facts["length"] - len(body))
        return facts["status"], body.decode("utf-8", "replace")

    def _read(self, count: int) -> bytes:
        while not select.select([self._answers], [], [], 0.05)[0]:
            if self._job.stop_asked.is_set():
                raise Stopped
        data: bytes = self._answers.read(count)
        if not data:
            raise Failed("AlgorithmError: See job logs for more information")
        return data
