"""What a process and all its descendants take together: seconds, CPU and memory, by sampling.

A Spark job is a Python driver, a JVM, a daemon and its forked workers; some are killed rather than
waited for, so the kernel's own sums at the end leave them out. Linux only: reads `/proc`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.measure import BenchmarkError

TICKS = os.sysconf("SC_CLK_TCK")
INTERVAL = 0.25  # seconds between two samples
MEMORY_EVERY = 2  # samples; the kernel walks all pages for it


@dataclass(frozen=True)
class Tree:
    """What a process and its descendants took.

    Attributes:
        started: when it began, in seconds since 1970.
        seconds: from its start to its end.
        peak_mb: largest sum of their proportional set sizes in MB (2**20): a page that several
            share counts once.
        samples: (seconds since 1970, CPU seconds of all of them until then).
        output: what it wrote to standard output.
    """

    started: float
    seconds: float
    peak_mb: float
    samples: tuple[tuple[float, float], ...]
    output: str

    @property
    def cpu(self) -> float:
        """CPU seconds of all of them."""
        return self.samples[-1][1]

    def cpu_between(self, start: float, end: float) -> float:
        """CPU seconds of all of them between two moments, in seconds since 1970."""
        return self._cpu_until(end) - self._cpu_until(start)

    def _cpu_until(self, moment: float) -> float:
        """Straight lines between the samples."""
        before = (self.started, 0.0)
        for after in self.samples:
            if moment <= after[0]:
                share = (moment - before[0]) / (after[0] - before[0])
                return before[1] + max(share, 0) * (after[1] - before[1])
            before = after
        return before[1]


def run_tree(command: Sequence[object], environment: Mapping[str, str]) -> Tree:
    """Run a command to its end; nothing that it started is left running.

    Raises:
        BenchmarkError: it failed.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        started, clock = time.time(), time.monotonic()
        child = subprocess.Popen(
            [str(part) for part in command], env={**os.environ, **environment},
            stdout=output, stderr=errors, start_new_session=True,
        )  # fmt: skip
        watched = _Watched(child.pid)
        try:
            while child.poll() is None:
                watched.look()
                time.sleep(INTERVAL)
        finally:
            seconds = time.monotonic() - clock
            watched.end()
            child.wait()
        output.seek(0)
        errors.seek(0)
        if child.returncode:
            said = (output.read() + errors.read()).splitlines()[-25:]
            raise BenchmarkError(f"{command[0]} ended with {child.returncode}:\n" + "\n".join(said))
        return Tree(started, seconds, watched.peak_mb, tuple(watched.samples), output.read())


class _Watched:
    """A process and all its descendants, and what they took until the last look."""

    def __init__(self, root: int) -> None:
        self.peak_mb = 0.0
        self.samples: list[tuple[float, float]] = []
        self._known = {root}  # some descendants begin a session of their own, or lose their parent
        self._ticks: dict[tuple[int, int], int] = {}  # by process and its start

    def look(self) -> None:
        """Take one sample."""
        present = self._present()
        for process, born, ticks in present:
            self._ticks[process, born] = ticks
        self.samples.append((time.time(), sum(self._ticks.values()) / TICKS))
        if len(self.samples) % MEMORY_EVERY == 0:
            kilobytes = sum(_proportional_kb(process) for process, *_ in present)
            self.peak_mb = max(self.peak_mb, kilobytes / 2**10)

    def end(self) -> None:
        """End what is left of them."""
        for process, *_ in self._present():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def _present(self) -> list[tuple[int, int, int]]:
        """Process, moment of birth and CPU ticks of each of them."""
        found = []
        for born, process, parent, session, ticks in sorted(_processes()):  # parents come first
            if self._known & {process, parent, session}:
                self._known.add(process)
                found.append((process, born, ticks))
        return found


def _processes() -> Iterator[tuple[int, int, int, int, int]]:
    """Moment of birth, number, parent, session and CPU ticks of every process of the machine."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):
                # the name of the program, in brackets, may hold anything
                found = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
                ticks = int(found[11]) + int(found[12])
                yield int(found[19]), int(name), int(found[1]), int(found[3]), ticks


def _proportional_kb(process: int) -> int:
    with suppress(OSError):
        for line in Path("/proc", str(process), "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
