"""Why a job failed: the likely cause first, then its last lines."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Sequence

from millrace.aws.remedies import remedy_of

TAIL = 20  # last lines of each source of a failed job's log that stand in its error
SOURCES = 4  # sources that do: of a Spark job, the step's and the driver's come first

# What says why, best first. Within one pattern the last line that fits is the nearest to the end.
NAMED = r"[A-Z]\w*(?:Error|Exception|Exit|Interrupt)\b(?:: .+)?$"  # an exception's last line
SAYING_WHY = tuple(
    re.compile(pattern)
    for pattern in (
        r"Container\b.*(?:killed|running beyond).*memory|OutOfMemoryError|^\s*MemoryError",
        rf"^\s*(?!java|org\.|com\.|scala)(?:[a-z_]\w*\.)*{NAMED}",
        r"Caused by: .+(?<!\(most recent call last\):)$",
        rf"^\s*(?:Exception in thread .* )?(?:[a-z_]\w*\.)*{NAMED}",
        r"\b(?:error|ERROR|Error|FATAL)\b[: ].+",
    )
)
WARNINGS = frozenset(("warning", "error", "critical"))  # levels of lines that are JSON objects
SOURCE = re.compile(
    r"^(?:controller|(?:\S+ )?(?:stderr|stdout)"  # EMR's
    r"|task \w{8}"  # of ECS
    r"|data-log|(?:algo-\d+|i-\w+)-\d{9,}) \| "  # the streams of SageMaker's jobs
)


def cause_of(lines: Sequence[str], reason: str = "") -> str:
    """The line that most likely says why: an exception's last line, memory, any error, a warning.

    Args:
        lines: what the job wrote last, with or without `stderr | ` in front.
        reason: the service's own words, taken where no line says more.
    """
    plain = [SOURCE.sub("", line).rstrip() for line in lines]
    for pattern in SAYING_WHY:
        for line in reversed(plain):
            if pattern.search(line):
                return line.strip()
    warning = next(filter(None, map(warned, reversed(plain))), "")
    said = next((line.strip() for line in reversed(plain) if line.strip()), "it wrote nothing")
    return warning or one_line(reason) or said


def warned(line: str) -> str:
    """The message of a log line in JSON, such as the model service writes, where it warns."""
    try:
        found = json.loads(line)
    except ValueError:
        return ""
    if not isinstance(found, dict) or str(found.get("level")).lower() not in WARNINGS:
        return ""
    return one_line(str(found.get("message", "")))


def account(what: str, reason: str, lines: Sequence[str]) -> str:
    """A whole error: what happened, the likely cause, the service's words, what to change where
    they tell it, the last lines.
    """
    cause = cause_of(lines, reason)
    parts = [f"{what}: {cause}"]
    if reason and one_line(reason) != cause:
        parts.append(f"The service says: {one_line(reason)}")
    if remedy := remedy_of(one_line(reason)):
        parts.append(f"What to do: {remedy}")
    if lines:
        parts.append("Its last lines:\n" + "\n".join(f"  {line}" for line in lines))
    return "\n".join(parts)


class Tail:
    """The last lines of each source of a log, so that a chatty one does not drown the others."""

    def __init__(self, lines: Iterable[str] = ()):
        self._sources: dict[str, deque[str]] = {}
        self.add(lines)

    def add(self, lines: Iterable[str]) -> None:
        """Take lines in, oldest first."""
        for line in lines:
            source = SOURCE.match(line)
            kept = self._sources.setdefault(source[0] if source else "", deque(maxlen=TAIL))
            kept.append(line)

    def lines(self) -> list[str]:
        """What is kept, by source in the order they were first heard of."""
        return [line for kept in list(self._sources.values())[:SOURCES] for line in kept]


def one_line(text: str) -> str:
    """A service's words on one line."""
    return re.sub(r"\s+", " ", text).strip()
