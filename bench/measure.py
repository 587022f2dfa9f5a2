"""What all benchmarks measure with: child processes, run in turns, and the median of the runs."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
SCRIPTS = Path(__file__).with_name("scripts")


class BenchmarkError(RuntimeError):
    """Something that was to be measured failed; the message ends with what it wrote."""


@dataclass(frozen=True)
class Comparison:
    """Ours beside the other way.

    Attributes:
        unit: of both figures.
        note: what was measured, and what the figures leave out.
    """

    name: str
    ours: float
    other: float
    unit: str
    note: str = ""

    @property
    def ratio(self) -> float:
        return self.ours / self.other

    def __str__(self) -> str:
        ours, other, ratio = figure(self.ours), figure(self.other), figure(self.ratio)
        return f"{self.name}: ours {ours} {self.unit}, other {other} {self.unit}, ratio {ratio}"

    def as_dict(self) -> dict[str, Any]:
        """The comparison as `bench/results.json` holds it."""
        return {
            "name": self.name,
            "ours": self.ours,
            "other": self.other,
            "ratio": self.ratio,
            "unit": self.unit,
            "note": self.note,
        }


@dataclass(frozen=True)
class Child:
    """What one child process took.

    Attributes:
        seconds: from its start to its end, imports included.
        cpu: CPU seconds of it and of the processes it waited for.
        peak_mb: largest resident set of it and of the processes it waited for, in MB (2**20).
        output: what it wrote to standard output.
    """

    seconds: float
    peak_mb: float
    output: str
    cpu: float = 0.0


def run_script(
    name: str, *arguments: object, environment: Mapping[str, str] | None = None
) -> Child:
    """Run a script of `bench/scripts` to its end.

    The kernel counts the caller's own peak towards a child's, so a benchmark must itself stay
    small: it imports nothing heavy.

    Raises:
        BenchmarkError: the script failed.
    """
    command = [sys.executable, str(SCRIPTS / name), *map(str, arguments)]
    variables = {**os.environ, "PYTHONPATH": str(PROJECT / "plugins"), **(environment or {})}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        started = time.monotonic()
        child = subprocess.Popen(command, env=variables, stdout=output, stderr=errors)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if child.returncode:
            tail = "\n".join(errors.read().splitlines()[-15:])
            raise BenchmarkError(f"{name} ended with {child.returncode}:\n{tail}")
        kilobyte = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts in bytes
        cpu = usage.ru_utime + usage.ru_stime
        return Child(seconds, usage.ru_maxrss / kilobyte, output.read(), cpu)


def in_turns[Result](
    ways: Mapping[str, Callable[[], Result]], times: int
) -> dict[str, list[Result]]:
    """Do each thing `times` times: in turns, every other round in the opposite order."""
    results: dict[str, list[Result]] = {name: [] for name in ways}
    for number in range(times):
        for name in list(ways)[:: -1 if number % 2 else 1]:
            results[name].append(ways[name]())
    return results


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def figure(value: float) -> str:
    """Three significant digits, and never an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def load() -> str:
    """How busy the machine is, for the notes."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
