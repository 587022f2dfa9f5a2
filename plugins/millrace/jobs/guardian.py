"""Watches over one process and all that comes of it; a script that `child.py` runs.

    guardian.py <file descriptor of the report> <limit in seconds> <command> [<argument>...]

It stands between the worker and the job, so that it can kill the job when the worker is gone,
killed itself without a chance to do anything about it. Standard input is a pipe whose other end
the worker holds: its end means stop. When nothing of the job runs any more, one line is reported:
`exited <code>`, `killed <signal>` or `limit`.

On Linux it is the parent of every orphan the job leaves (PR_SET_CHILD_SUBREAPER, prctl(2)), so
that also those are found that made a session of their own; elsewhere only the job's own process
group is. Standard library only: it runs without site-packages.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
LOOK = 1.0  # seconds between two looks at whether the worker lives: a fork of it may hold the pipe
GRACE = 3.0  # seconds between SIGTERM and SIGKILL for what is left of a job that has ended
ENDING = 10.0  # seconds after which a process that cannot be killed is left alone
STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(report: int, limit: float, command: list[str]) -> None:
    """Run the command to its end, or end it; then report."""
    os.set_inheritable(report, False)
    worker = os.getppid()
    control = _control()
    control(PR_SET_CHILD_SUBREAPER, 1)
    job = _start(command, control)
    code, expired = _wait(job, worker, limit, _signals())
    code = _end_everything(job, code)
    word = "limit" if expired else f"killed {-code}" if code < 0 else f"exited {code}"
    with suppress(BrokenPipeError):
        os.write(report, word.encode())


def _control() -> Callable[[int, int], object]:
    """Linux' prctl; elsewhere a call that does nothing."""
    if not sys.platform.startswith("linux"):
        return lambda option, value: None
    prctl = ctypes.CDLL(None).prctl
    return lambda option, value: prctl(option, value, 0, 0, 0)


def _start(command: list[str], control: Callable[[int, int], object]) -> int:
    """Start the job in a session of its own; the kernel kills it where the guardian is killed."""
    guardian = os.getpid()
    job = os.fork()
    if job:
        return job
    try:
        os.setsid()
        control(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == guardian:  # it may have died before the arrangement was made
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, a job must not
                signal.signal(number, signal.SIG_DFL)
            os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        os.write(2, f"{command[0]} cannot be run: {error}\n".encode())
    finally:
        os._exit(127)


def _signals() -> int:
    """A file descriptor from which the numbers of arriving signals can be read."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    signal.set_wakeup_fd(writes)
    for number in (signal.SIGCHLD, *STOP):
        signal.signal(number, lambda *_: None)
    return reads


def _wait(job: int, worker: int, limit: float, signals: int) -> tuple[int | None, bool]:
    """Wait for the job's end, its limit, or the word to stop it.

    Returns:
        The job's exit code, None where it runs on, and whether it reached its limit.
    """
    end = time.monotonic() + limit
    while (code := _collect(job)) is None:
        left = end - time.monotonic()
        if left <= 0:
            return None, True
        ready, _, _ = select.select([0, signals], [], [], min(left, LOOK))
        told = signals in ready and set(os.read(signals, 512)).intersection(STOP)
        if 0 in ready or told or os.getppid() != worker:
            return None, False
    return code, False


def _collect(job: int) -> int | None:
    """Collect the children that have ended; the job's exit code where it is one of them.

    Raises:
        ChildProcessError: there are no children.
    """
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            if code is None:
                raise
            return code
        if not pid:
            return code
        if pid == job:
            code = os.waitstatus_to_exitcode(status)


def _end_everything(job: int, code: int | None) -> int:
    """End the job's descendants, and the job where it has no exit code yet; returns that.

    What a job leaves that ended by itself gets a moment to clear up, as Spark's JVM needs it.
    """
    begun, told, hurry = time.monotonic(), set[int](), code is None
    with suppress(ChildProcessError):
        while (passed := time.monotonic() - begun) < ENDING:
            kill = hurry or passed > GRACE
            if kill:
                _send(os.killpg, job, signal.SIGKILL)
            for pid in _children():
                if kill or pid not in told:
                    _send(os.kill, pid, signal.SIGKILL if kill else signal.SIGTERM)
                told.add(pid)
            found = _collect(job)
            code = code if found is None else found
            time.sleep(0.005)
    _send(os.killpg, job, signal.SIGKILL)  # where no more than the group is known
    return -signal.SIGKILL if code is None else code


def _send(kill: Callable[[int, int], None], target: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        kill(target, number)


def _children() -> list[int]:
    """The processes whose parent this one is: the job, and orphans of its descendants."""
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        with suppress(OSError, ValueError):
            pid = int(name)
            with open(f"/proc/{pid}/stat", "rb") as stat:  # its second field may hold spaces
                if int(stat.read().rpartition(b")")[2].split()[1]) == os.getpid():
                    found.append(pid)
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
