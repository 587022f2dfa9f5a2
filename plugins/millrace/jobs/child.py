"""A command as a child process: what it writes, how it ended, and nothing of it left behind."""

from __future__ import annotations

import codecs
import io
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, cast

from millrace.jobs.job import State, Status

LIMIT = "MaxRuntimeExceeded"  # SageMaker's word for a job that reached its time limit
GUARDIAN = Path(__file__).with_name("guardian.py")
PIECE, PIECES = 65_536, 16  # bytes read at once, and pieces read in one call
SECRETS = ("AIRFLOW", "AWS_", "MLFLOW_")  # beginnings of variables that a job must not see
LONGEST = 65_536  # characters of a line; what is longer is broken


class Child:
    """A command that runs under a guardian's watch, see `guardian.py`.

    Args:
        environment: variables on top of the worker's own.
        limit: seconds it may run.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], limit: float):
        reads, writes = os.pipe()
        self._report = open(reads, "rb", buffering=0)  # noqa: SIM115
        try:
            self._guardian = subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARDIAN), str(writes), str(limit), *command],
                env={**_without_secrets(os.environ), **environment}, bufsize=0,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                pass_fds=(writes,), start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(writes)
        self.id, self._limit, self._started = str(self._guardian.pid), limit, time.monotonic()
        self._ended: Status | None = None
        self._lifeline = cast("IO[bytes]", self._guardian.stdin)
        self._output = cast("IO[bytes]", self._guardian.stdout)
        self._text = io.IncrementalNewlineDecoder(
            codecs.getincrementaldecoder("utf-8")("replace"), translate=True
        )
        self._unfinished = ""
        for pipe in (self._report, self._output):
            os.set_blocking(pipe.fileno(), False)

    def status(self) -> Status:
        """Where the command stands."""
        if self._ended is None:
            word = self._report.read()
            seconds = time.monotonic() - self._started
            if word is None:
                return Status(State.RUNNING, "running", seconds=seconds)
            self._guardian.wait()
            self._ended = _status(word.decode(), self._limit, seconds)
        return self._ended

    def lines(self) -> list[str]:
        """The lines written since the last call; an unfinished one is given at the end."""
        ended = self.status().state.ended
        text = self._unfinished + self._text.decode(self._read(), final=ended)
        *lines, self._unfinished = text.split("\n")
        if self._unfinished and (ended or len(self._unfinished) > LONGEST):
            lines.append(self._unfinished)
            self._unfinished = ""
        return [line[at : at + LONGEST].rstrip() for line in lines for at in _starts(line)]

    def follow(self) -> Iterator[str]:
        """Every line as it is written, until the command and all it started have ended."""
        change = select.poll()
        for pipe in (self._report, self._output):
            change.register(pipe, select.POLLIN)
        while not self.status().state.ended:
            change.poll()
            yield from self.lines()
        yield from self.lines()

    def stop(self) -> None:
        """Have the command and everything it started killed; does nothing where all has ended."""
        self._lifeline.close()

    def end(self) -> None:
        """Stop, and return when nothing of it runs any more."""
        self.stop()
        self._guardian.wait()
        self.status()
        for pipe in (self._report, self._output):
            pipe.close()

    def _read(self) -> bytes:
        """What can be read without waiting, at most 1 MiB of it."""
        read = []
        for _ in range(PIECES):
            piece = self._output.read(PIECE)
            if not piece:
                break
            read.append(piece)
        return b"".join(read)


def script_command(script: str, arguments: Sequence[str]) -> list[str]:
    """The command that runs a Python script with the worker's own interpreter."""
    return [sys.executable, "-u", script, *arguments]


def _starts(line: str) -> range:
    """Where the pieces of a line begin: one, except in a line that is too long."""
    return range(0, max(len(line), 1), LONGEST)


def _status(word: str, limit: float, seconds: float) -> Status:
    """What the guardian's report means; it reports nothing where it was killed itself."""
    how, _, number = word.partition(" ")
    if how == "limit":
        detail = f"was stopped at its time limit of {limit:g} s"
        return Status(State.STOPPED, detail, LIMIT, seconds)
    if how == "exited":
        state = State.FAILED if int(number) else State.SUCCEEDED
        return Status(state, f"exited with code {number}", seconds=seconds)
    name = signal.Signals(int(number or signal.SIGKILL)).name
    return Status(State.STOPPED, f"was killed by {name}", seconds=seconds)


def _without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """What a job may know of the worker: no keys of Airflow, AWS or MLflow."""
    return {name: value for name, value in environment.items() if not name.startswith(SECRETS)}
