"""A job as a child process: the same scripts, variables and folders as on SageMaker."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from millrace.errors import MillraceError

log = logging.getLogger(__name__)

TAIL = 20  # last lines of a failed job that stand in its error
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class JobFailed(MillraceError):
    """A job ended without success; the message carries the last lines it wrote."""


class JobKilled(RuntimeError):
    """A job was killed from outside, perhaps for want of memory; another try may succeed."""


def run_script(
    script: Path, arguments: Sequence[str], environment: Mapping[str, str], *, timeout: float
) -> float:
    """Run a Python script to its end and pass every line it writes to the task log.

    The child leads a process group of its own, which is killed at the time limit, and dies with
    its parent.

    Args:
        environment: variables on top of the worker's own.
        timeout: seconds the script may run.

    Returns:
        Seconds it ran.

    Raises:
        JobFailed: it exited with another code than 0, or reached the time limit.
        JobKilled: something else killed it.
    """
    command = [sys.executable, "-u", str(script), *arguments]
    started = time.monotonic()
    child = subprocess.Popen(
        command, env={**_without_secrets(os.environ), **environment}, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True, preexec_fn=_die_with(os.getpid()),
    )  # fmt: skip
    expired = threading.Event()

    def stop() -> None:
        expired.set()
        kill_group(child)

    timer = threading.Timer(timeout, stop)
    timer.start()
    tail: deque[str] = deque(maxlen=TAIL)
    previous = _end_with_task(child)
    try:
        for line in child.stdout or ():
            tail.append(line.rstrip())
            log.info("%s | %s", script.stem, line.rstrip())
        code = child.wait()
    finally:
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)
        timer.cancel()
        kill_group(child)
    if expired.is_set():
        raise JobFailed(
            _message(f"{script.name} was stopped at its time limit of {timeout:g} s", tail)
        )
    if code < 0:
        raise JobKilled(_message(f"{script.name} was killed by {signal.Signals(-code).name}", tail))
    if code:
        raise JobFailed(_message(f"{script.name} exited with code {code}", tail))
    return time.monotonic() - started


def _without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """What a job may know of the worker: nothing of Airflow's keys and connections."""
    return {name: value for name, value in environment.items() if not name.startswith("AIRFLOW")}


def _end_with_task(child: subprocess.Popen[str]) -> Any:
    """End the job when the task is told to end; returns the handler that was there before."""
    if threading.current_thread() is not threading.main_thread():
        return None

    def end(_number: int, _frame: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)

    return signal.signal(signal.SIGTERM, end)


def kill_group(child: subprocess.Popen[str]) -> None:
    """Kill the child and everything it started; does nothing where all have ended."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    child.wait()


def _message(reason: str, tail: Sequence[str]) -> str:
    cause = next((line for line in reversed(tail) if line.strip()), "it wrote nothing")
    return f"{reason}: {cause}\nIts last lines:\n" + "\n".join(f"  {line}" for line in tail)


def _die_with(parent: int):  # type: ignore[no-untyped-def]
    """A hook for the child: the kernel kills it when its parent dies (Linux only)."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the arrangement was made
            os.kill(os.getpid(), signal.SIGKILL)

    return arrange
