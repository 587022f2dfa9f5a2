"""Start one component of the local stack in place of one that died.

    python -m millrace.stack.component [--log FILE] <command> [argument ...]

A component that is killed outright leaves children behind: MLflow's still holds the port, the
triggerer's still runs triggers, the scheduler's idle workers wait for ever. They are ended first.
A worker with a task is left alone: its task goes on and reports to the API server, which saves
running it a second time. Then this process becomes the command.

supervisord reads a component's output from a pipe and closes it when the component dies: the next
line that a task says would then break its worker, and the task with it. So the scheduler writes to
its log by itself (`--log`).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

MARK = "MILLRACE_SUPERVISED"  # in the environment of every process of a stack: its home
NAME = "SUPERVISOR_PROCESS_NAME"  # set by supervisord: the component
LOG_LIMIT = 5_000_000  # bytes, as in supervisord.conf; a log above it is put aside at a start


def processes(home: str) -> Iterator[psutil.Process]:
    """Every live process of the stack of a home: components, their children, tasks, their jobs."""
    for process in psutil.process_iter():
        if mark(process) == home:
            yield process


def mark(process: psutil.Process, variable: str = MARK) -> str | None:
    """The home of the stack a live process belongs to; None if it belongs to none."""
    with contextlib.suppress(psutil.Error):
        if process.status() != psutil.STATUS_ZOMBIE:
            value: str | None = process.environ().get(variable)
            return value
    return None


def end_leftovers(home: str, name: str) -> list[int]:
    """Kill what a dead predecessor of this component left without a task, and say which."""
    ended = []
    for process in processes(home):
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            leaderless = not psutil.pid_exists(os.getpgid(process.pid))
            # Started from a shell that has ended, this process has no leader either.
            other = process.pid != os.getpid()
            if other and leaderless and mark(process, NAME) == name and not process.children():
                process.kill()
                ended.append(process.pid)
    return ended


def write_to(log: Path) -> None:
    """Send what this process and its children say to the end of a file, whoever of them lives on.

    A file beyond `LOG_LIMIT` becomes `<name>.1`, in place of the one before.
    """
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(f"{log}.1")
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(file, stream.fileno())
    os.close(file)


def main(arguments: list[str]) -> None:
    """Take the place of the dead predecessor, if there is one, and run the command."""
    parser = argparse.ArgumentParser("millrace.stack.component", description=__doc__)
    parser.add_argument("--log", type=Path, help="write output there, not to supervisord")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    if given.log:
        write_to(given.log)
    ended = end_leftovers(os.environ[MARK], os.environ[NAME])
    if ended:
        print(
            f"ended processes {ended}, left behind by the previous {os.environ[NAME]}", flush=True
        )
    os.execvp(given.command[0], given.command)  # noqa: S606 - supervisord.conf says what to run


if __name__ == "__main__":
    main(sys.argv[1:])
