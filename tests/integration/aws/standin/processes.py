"""Child processes of jobs: one group each, and none outlives the stand-in."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_prctl = ctypes.CDLL(None).prctl if sys.platform.startswith("linux") else None
OnLine = Callable[[str, str], None]  # "stdout" or "stderr", and the line


class Guard:
    """Knows every running process group, and kills them when the stand-in dies."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("guard.py")
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(script)], stdin=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        self._lock = threading.Lock()

    def tell(self, sign: str, group: int) -> None:
        with self._lock, suppress(BrokenPipeError, ValueError):
            assert self._process.stdin is not None
            self._process.stdin.write(f"{sign}{group}\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """Kill the groups that are left."""
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._process.wait(10)


class Process:
    """A running command; must be made in the thread that waits for its end.

    The kernel kills it when that thread ends; what it started is killed with its group.

    Args:
        on_line: called for each line of both outputs, from threads of their own.
        channel: file descriptors that the child keeps open.
        piped: leave standard input open, to write to.
    """

    def __init__(
        self, guard: Guard, command: Sequence[str], environment: Mapping[str, str], folder: Path,
        on_line: OnLine, *, channel: Sequence[int] = (), piped: bool = False,
    ):  # fmt: skip
        self._guard = guard
        self._child = subprocess.Popen(
            list(command), env=dict(environment), cwd=folder, start_new_session=True,
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, pass_fds=tuple(channel), preexec_fn=_die_with_parent,
        )  # fmt: skip
        self.pid = self._child.pid
        guard.tell("+", self.pid)
        self._readers = [
            threading.Thread(target=_read, args=(stream, name, on_line), daemon=True)
            for name, stream in (("stdout", self._child.stdout), ("stderr", self._child.stderr))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def stdin(self) -> IO[bytes]:
        assert self._child.stdin is not None
        return self._child.stdin

    def wait(self, seconds: float) -> int | None:
        """The exit code (negative: the signal that killed it), or None where it still runs."""
        try:
            return self._child.wait(max(seconds, 0))
        except subprocess.TimeoutExpired:
            return None

    def finish(self) -> int:
        """After the end: kill what the process left behind, hear its last lines."""
        self._signal(signal.SIGKILL)
        code = self._child.wait()
        for reader in self._readers:
            reader.join(5)
        if self._child.stdin:
            with suppress(BrokenPipeError):
                self._child.stdin.close()
        self._guard.tell("-", self.pid)
        return code

    def end(self, grace: float) -> int:
        """Ask the group to end; kill it after `grace` seconds."""
        if grace:
            self._signal(signal.SIGTERM)
            self.wait(grace)
        return self.finish()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def _read(stream: IO[bytes] | None, name: str, on_line: OnLine) -> None:
    assert stream is not None
    with stream:
        for line in stream:
            on_line(name, line.decode("utf-8", "replace").rstrip("\r\n"))


def _die_with_parent() -> None:
    """In the child: the kernel kills it when the thread that made it ends (Linux only)."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
