"""How batch transform splits, filters and joins: pure.

A record is a text; it is CSV or JSON by the content type. Filters are the part of JSONPath that
SageMaker takes: `$`, `$.name`, `$['a','b']`, `$[0]`, `$[0,2]`, `$[1:]`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[([^\]]*)\]")


class BadRecord(Exception):
    """A record, filter or answer that batch transform refuses; the text is its message."""


def split_records(content: str, split_type: str) -> list[str]:
    """The records of one file; without splitting, the file is one."""
    if split_type != "Line":
        return [content]
    return [line for line in content.split("\n") if line.strip()]


def payloads(records: Sequence[str], strategy: str, limit: int) -> Iterator[list[str]]:
    """Groups of records for one request each, of at most `limit` bytes.

    Raises:
        BadRecord: one record alone is larger.
    """
    group: list[str] = []
    size = 0
    for record in records:
        length = len(record.encode()) + 1
        if length > limit:
            raise BadRecord(f"Too much data for max payload size of {limit} bytes")
        if group and (strategy == "SingleRecord" or size + length > limit):
            yield group
            group, size = [], 0
        group.append(record)
        size += length
    if group:
        yield group


def filtered(path: str, record: str, kind: str) -> str:
    """A record through a filter; `$` leaves it as it is."""
    if path in ("", "$"):
        return record
    return _write(_select(path, _read(record, kind)), kind)


def joined(record: str, answer: str, kind: str) -> str:
    """A record and what the model answered to it."""
    answer = answer.rstrip("\n")
    if kind == "text/csv":
        return f"{record},{answer}"
    given, said = _read(record, kind), _read(answer, kind)
    if isinstance(given, dict):
        return _write({**given, "SageMakerOutput": said}, kind)
    return _write({"SageMakerInput": given, "SageMakerOutput": said}, kind)


def answers_of(body: str, count: int, strategy: str) -> list[str]:
    """One answer a record of a request.

    Raises:
        BadRecord: the model answered another number of lines than it got.
    """
    if strategy == "SingleRecord" or count == 1:
        return [body.rstrip("\n")]
    lines = body.rstrip("\n").split("\n")
    if len(lines) != count:
        raise BadRecord(f"Fail to join data: mismatched line count between the input and the"
                        f" output: {count} and {len(lines)}")  # fmt: skip
    return lines


def _read(record: str, kind: str) -> Any:
    if kind == "text/csv":
        return next(csv.reader(io.StringIO(record)), [])
    try:
        return json.loads(record)
    except ValueError as error:
        raise BadRecord(f"Unable to parse data as JSON: {error}: {record[:200]!r}") from None


def _write(value: Any, kind: str) -> str:
    if kind != "text/csv":
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(value if isinstance(value, list) else [value])
    return line.getvalue()


def _select(path: str, value: Any) -> Any:
    position = 1
    if not path.startswith("$"):
        raise BadRecord(f"{path!r} is no JSONPath")
    while position < len(path):
        found = STEP.match(path, position)
        if not found:
            raise BadRecord(f"{path!r} is no JSONPath that batch transform knows")
        try:
            value = value[found[1]] if found[1] else _picked(found[2], value)
        except (KeyError, IndexError, TypeError, ValueError):
            raise BadRecord(f"{path!r} finds nothing in {str(value)[:200]}") from None
        position = found.end()
    return value


def _picked(inside: str, value: Any) -> Any:
    """What one pair of brackets picks."""
    names = re.findall(r"'([^']*)'|\"([^\"]*)\"", inside)
    if names:
        keys = [one or other for one, other in names]
        return value[keys[0]] if len(keys) == 1 else {key: value[key] for key in keys}
    if ":" in inside:
        first, last = (int(text) if text.strip() else None for text in inside.split(":"))
        return value[first:last]
    numbers = [int(text) for text in inside.split(",")]
    return value[numbers[0]] if len(numbers) == 1 else [value[number] for number in numbers]
