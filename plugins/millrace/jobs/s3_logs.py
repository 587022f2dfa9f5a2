"""Logs that a service puts on S3 while a job runs: late, ever longer, in the end compressed."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

LINES = 5000  # the most lines of one call, apart from LEAST of every file
LEAST = 20
FILES = 60  # the most files of one job that are read: the cursor holds a place for each
LONGEST = 8192  # bytes of a line; what is longer is broken
PIECE = 262_144  # bytes held in memory at once
SETTLED = 60.0  # seconds after the end of a job that a log still lacks the end of its last line
ROUND = 20.0  # seconds that one round of uploads may take
REST = "more files"


@dataclass(frozen=True)
class Stored:
    """A log as it is stored now.

    Attributes:
        uri: `s3://<bucket>/<key>`.
        tag: differs whenever the content does.
        modified: when it was put there.
    """

    uri: str
    size: int
    tag: str
    modified: datetime


def location(uri: str) -> tuple[str, str]:
    """Bucket and key of an address, which EMR spells `s3n://` and Hadoop also `s3a://`."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key.strip("/")


def stored_logs(client: Any, folder: str, names: Sequence[str]) -> dict[str, Stored]:
    """The logs of these names below a folder, by their path in it without `.gz`.

    Where a log is stored both plain and compressed, the newer one is given.
    """
    bucket, prefix = location(folder)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    found: dict[str, Stored] = {}
    for item in (item for page in pages for item in page.get("Contents", ())):
        path = item["Key"].removeprefix(f"{prefix}/").removesuffix(".gz")
        stored = Stored(
            f"s3://{bucket}/{item['Key']}", item["Size"], item["ETag"].strip('"')[:12],
            item["LastModified"],
        )  # fmt: skip
        present = found.get(path)
        if path.rpartition("/")[2] in names and (
            present is None or present.modified <= stored.modified
        ):
            found[path] = stored
    return found


def are_final(logs: Mapping[str, Stored], ended: datetime | None) -> bool:
    """Whether a round of uploads after the end of the job is over.

    A log that did not change since an earlier round need not be stored again.
    """
    if ended is None or not logs:
        return False
    newest = max(stored.modified for stored in logs.values())
    since = (datetime.now(UTC) - newest).total_seconds()
    return newest >= ended.replace(microsecond=0) and since > ROUND


class Reader:
    """Reads on in the logs of one job, where the call before it stopped.

    Attributes:
        lines: `<source> | <text>` of what was read.
        places: for each source the bytes of its text that were given, the tag of what was read,
            and whether the beginning of a line was held back: JSON.
    """

    def __init__(
        self, client: Any, places: Mapping[str, Any], ended: Callable[[], datetime | None]
    ):
        """`ended` says when the job ended, None while it runs; asked only where it matters."""
        self.client, self.places, self.ended = client, dict(places), ended
        self.lines: list[str] = []

    def read(
        self, source: str, stored: Stored, hear: Callable[[str], None] = lambda text: None
    ) -> None:
        """Read what is new in one log; `hear` gets each of its lines, also those left out."""
        if source not in self.places and len(self.places) >= FILES:
            self._leave_out(stored)
            return
        given, tag, held = self.places.get(source, (0, "", False))
        if stored.tag == tag and not (held and self._is_whole(stored)):
            return
        excerpt, held = Excerpt(max(LEAST, (LINES - len(self.lines)) // 2)), False
        for line in _lines(self._text(stored, given)):
            if not line.endswith(b"\n") and len(line) < LONGEST and not self._is_whole(stored):
                held = True
                break
            given += len(line)
            for text in line.decode("utf-8", "replace").rstrip("\r\n").split("\r"):
                hear(text)
                excerpt.add(text)
        self.lines += [f"{source} | {text}" for text in excerpt.lines(stored.uri)]
        self.places[source] = (given, stored.tag, held)

    def _is_whole(self, stored: Stored) -> bool:
        """Whether a log ends as the job left it, so that its last line is all there is of it."""
        ended = self.ended()
        return ended is not None and (
            stored.modified >= ended or (datetime.now(UTC) - ended).total_seconds() > SETTLED
        )

    def _text(self, stored: Stored, given: int) -> Iterator[bytes]:
        """The text after its first `given` bytes, in pieces."""
        bucket, key = location(stored.uri)
        zipped = key.endswith(".gz")
        if not zipped and stored.size <= given:
            return
        place = {} if zipped or not given else {"Range": f"bytes={given}-"}
        try:
            body = self.client.get_object(Bucket=bucket, Key=key, **place)["Body"]
        except self.client.exceptions.NoSuchKey:  # replaced by its compressed form just now
            return
        with body:
            pieces = body.iter_chunks(PIECE)
            yield from _after(given, _unzipped(pieces)) if zipped else pieces

    def _leave_out(self, stored: Stored) -> None:
        if REST not in self.places:
            self.places[REST] = (0, "", False)
            where = stored.uri.rpartition("/")[0].rpartition("/")[0]
            self.lines.append(f"{REST} | [only {FILES} are read; all are below {where}/]")


class Excerpt:
    """The first and the last of many lines.

    Args:
        most: how many it keeps.
    """

    def __init__(self, most: int):
        self.room = most // 2
        self.first: list[str] = []
        self.last: deque[str] = deque(maxlen=most - self.room)
        self.left_out = 0

    def add(self, line: str) -> None:
        if len(self.first) < self.room:
            self.first.append(line)
            return
        self.left_out += len(self.last) == self.last.maxlen
        self.last.append(line)

    def lines(self, uri: str) -> list[str]:
        """What was kept, and in its place how much was not; `uri` has everything."""
        gap = [f"[{self.left_out} lines are left out here; {uri} has all]"] if self.left_out else []
        return [*self.first, *gap, *self.last]


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Lines with their ends; only the last, or a broken one, has none."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield from _broken(line + b"\n")
        while len(rest) > LONGEST:
            yield rest[:LONGEST]
            rest = rest[LONGEST:]
    if rest:
        yield rest


def _broken(line: bytes) -> Iterator[bytes]:
    return (line[at : at + LONGEST] for at in range(0, len(line), LONGEST))


def _after(given: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces without their first `given` bytes."""
    for piece in pieces:
        yield piece[given:]
        given = max(0, given - len(piece))


def _unzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The text of a gzip file of one or more members, as far as it is undamaged."""
    unzip = zlib.decompressobj(wbits=31)
    try:
        for piece in pieces:
            while piece:
                yield unzip.decompress(piece, PIECE)
                piece = unzip.unconsumed_tail
                if unzip.eof:
                    piece, unzip = unzip.unused_data, zlib.decompressobj(wbits=31)
        yield unzip.flush()
    except zlib.error:
        return
