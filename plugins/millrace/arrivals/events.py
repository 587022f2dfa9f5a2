"""Reading S3's event documents: which uploads to `raw/` they tell of, and why the rest is ignored.

S3 sends the same facts in several wrappings: itself (to SQS or Lambda), inside an SNS message, as
the body of an SQS message, or through EventBridge. Events come at least once and in any order; for
one key the `sequencer` says which of two came later.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus


@dataclass(frozen=True)
class Upload:
    """One file of a partition that came or was replaced.

    Attributes:
        name: of the file inside the partition, decoded.
        etag: of the object, as the event gives it.
        sequencer: hexadecimal; comparable among the events of one key only.
    """

    dataset: str
    partition: str
    name: str
    etag: str
    sequencer: str


@dataclass
class Reading:
    """What a document told: uploads in the order of their names, and what was ignored and why."""

    uploads: list[Upload] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Change:
    bucket: str
    key: str
    created: bool
    etag: str
    sequencer: str


class _Ignored(ValueError):
    """A part of a document that tells of no upload; the message says why."""


def read_events(documents: Collection[Any], lake: str, datasets: Collection[str]) -> Reading:
    """The uploads that documents tell of: the last event of each key, if it is an upload.

    Args:
        documents: parsed JSON, or JSON text.
        lake: root of the lake, `s3://bucket/prefix`.
        datasets: the data sets that may be named.
    """
    reading = Reading()
    last: dict[tuple[str, str], _Change] = {}
    for document in documents:
        for found in _changes(document):
            if isinstance(found, str):
                reading.ignored.append(found)
                continue
            before = last.get((found.bucket, found.key))
            # Of two lengths, the shorter counts as padded with zeros: text sorts them the same way.
            if before is None or found.sequencer >= before.sequencer:
                last[found.bucket, found.key] = found
    for _, change in sorted(last.items()):
        try:
            reading.uploads.append(_upload(change, lake, datasets))
        except _Ignored as reason:
            reading.ignored.append(f"{change.key}: {reason}")
    return reading


def is_day(text: str) -> bool:
    """Whether this is the name of a partition: `YYYY-MM-DD`, a day that exists."""
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _changes(document: Any) -> Iterator[_Change | str]:
    """The changes of objects in one document, or reasons why there is none."""
    if isinstance(document, str | bytes):
        try:
            document = json.loads(document)
        except ValueError:
            yield f"{document[:80]!r}: no JSON"
            return
    match document:
        case {"Event": "s3:TestEvent"}:
            yield "s3:TestEvent: only says that notifications were switched on"
        case {"Records": [*records]}:
            for record in records:
                yield from _changes(record)
        case {"Type": "Notification", "Message": wrapped}:
            yield from _changes(wrapped)
        case {"EventSource": "aws:sns", "Sns": {"Message": wrapped}}:
            yield from _changes(wrapped)
        case {"eventSource": "aws:sqs", "body": wrapped}:
            yield from _changes(wrapped)
        case {"eventSource": "aws:s3", "eventName": str(name), "s3": facts}:
            yield _change(name, facts, encoded=True)
        case {"source": "aws.s3", "detail-type": str(name), "detail": facts}:
            yield _change(name, facts, encoded=False)
        case _:
            yield f"{json.dumps(document, default=str)[:80]}: no S3 event"


def _change(name: str, facts: Any, *, encoded: bool) -> _Change | str:
    """S3 encodes the key as a form does (`+` is a blank); EventBridge carries it as it is."""
    kinds = {"ObjectCreated": True, "Object Created": True,
             "ObjectRemoved": False, "Object Deleted": False}  # fmt: skip
    created = kinds.get(name.partition(":")[0])
    if created is None:
        return f"{name}: no upload"
    match facts:
        case {"bucket": {"name": str(bucket)}, "object": {"key": str(key), **rest}}:
            etag, sequencer = rest.get("eTag") or rest.get("etag"), rest.get("sequencer")
            return _Change(
                bucket, unquote_plus(key) if encoded else key, created,
                str(etag or ""), str(sequencer or ""),
            )  # fmt: skip
    return f"{name}: names no bucket and key"


def _upload(change: _Change, lake: str, datasets: Collection[str]) -> Upload:
    """The upload that an object's last change is.

    Raises:
        _Ignored: it is none; the message says why.
    """
    if not change.created:
        raise _Ignored("deleted; what was published from it stays")
    root = f"{lake.removeprefix('s3://')}/raw/"
    address = f"{change.bucket}/{change.key}"
    if not address.startswith(root):
        raise _Ignored(f"not below s3://{root}")
    dataset, _, rest = address.removeprefix(root).partition("/")
    partition, _, name = rest.partition("/")
    if not name or name.endswith("/"):
        raise _Ignored("no file of a partition; upload to raw/<dataset>/<YYYY-MM-DD>/<file>")
    if dataset not in datasets:
        raise _Ignored(f"there is no data set {dataset!r} (known: {', '.join(sorted(datasets))})")
    if not is_day(partition):
        raise _Ignored(f"the partition {partition!r} is no day; write it as YYYY-MM-DD")
    return Upload(dataset, partition, name, change.etag, change.sequencer)
