"""Start one component of the local stack in place of one that died.

    python -m millrace.stack.component <command> [argument ...]

A component that is killed outright leaves children behind: MLflow's still holds the port, the
triggerer's still runs triggers, the scheduler's idle workers wait for ever. They are ended first.
A worker with a task is left alone: its task goes on and reports to the API server, which saves
running it a second time. Then this process becomes the command.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

import psutil

MARK = "MILLRACE_SUPERVISED"  # in the environment of every process of a stack: its home
NAME = "SUPERVISOR_PROCESS_NAME"  # set by supervisord: the component


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


def main(command: list[str]) -> None:
    """Take the place of the dead predecessor, if there is one, and run the command."""
    ended = end_leftovers(os.environ[MARK], os.environ[NAME])
    if ended:
        print(
            f"ended processes {ended}, left behind by the previous {os.environ[NAME]}", flush=True
        )
    os.execvp(command[0], command)  # noqa: S606 - supervisord.conf says what to run


if __name__ == "__main__":
    main(sys.argv[1:])
