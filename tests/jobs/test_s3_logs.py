"""Logs on S3: every line once, whenever and however they are uploaded."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from millrace.jobs import s3_logs
from millrace.jobs.s3_logs import (
    FILES,
    LINES,
    LONGEST,
    Excerpt,
    Reader,
    Stored,
    are_final,
    location,
    stored_logs,
)
from tests.lake.s3 import BUCKET, new_root, s3_client, s3_server

NAMES = ("controller", "stderr", "stdout")


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with s3_server() as address:
        yield s3_client(address)


class Folder:
    """A folder of logs, read call after call with the cursor the call before gave."""

    def __init__(self, client: Any):
        self.client, self.uri = client, new_root()
        self.places: dict[str, Any] = {}
        self.ended: datetime | None = None

    def put(self, name: str, data: bytes | str) -> None:
        data = data.encode() if isinstance(data, str) else data
        key = f"{location(self.uri)[1]}/{name}"
        self.client.put_object(Bucket=BUCKET, Key=key, Body=data)

    def drop(self, name: str) -> None:
        self.client.delete_object(Bucket=BUCKET, Key=f"{location(self.uri)[1]}/{name}")

    def reader(self) -> Reader:
        return Reader(self.client, self.places, lambda: self.ended)

    def read(self) -> list[str]:
        reader = self.reader()
        for source, stored in stored_logs(self.client, self.uri, NAMES).items():
            reader.read(source, stored)
        self.places = json.loads(json.dumps(reader.places))
        return reader.lines


@pytest.fixture
def folder(client: Any) -> Folder:
    return Folder(client)


@pytest.mark.parametrize("scheme", ["s3", "s3n", "s3a"])
def test_an_address_is_understood_however_it_is_spelt(scheme: str) -> None:
    assert location(f"{scheme}://bucket/a/b/") == ("bucket", "a/b")
    assert location(f"{scheme}://bucket") == ("bucket", "")


def test_a_growing_log_that_ends_up_compressed_is_given_once(folder: Folder) -> None:
    assert folder.read() == []
    folder.put("stderr", "first\nsecond\n")
    assert folder.read() == ["stderr | first", "stderr | second"]
    assert folder.read() == []
    folder.put("stderr", "first\nsecond\nthird é\n")
    assert folder.read() == ["stderr | third é"]
    folder.put("stderr.gz", gzip.compress("first\nsecond\nthird é\nfourth\n".encode()))
    assert folder.read() == ["stderr | fourth"]
    folder.drop("stderr")
    assert folder.read() == []


def test_every_line_comes_once_wherever_an_upload_cuts(folder: Folder) -> None:
    """Random uploads, plain or compressed, in one or more members, cut within lines and letters."""
    chance = random.Random(7)
    lines = [f"{n} " + "äx" * chance.randrange(60) for n in range(300)]
    whole = ("\n".join(lines) + "\n").encode()
    cuts = [*sorted(chance.sample(range(1, len(whole)), 12)), len(whole)]
    given: list[str] = []
    for cut in cuts:
        part = whole[:cut]
        if chance.random() < 0.5:
            folder.put("stdout", part)
            folder.drop("stdout.gz")
        else:
            middle = chance.randrange(cut)
            members = gzip.compress(part[:middle]) + gzip.compress(part[middle:])
            folder.put("stdout.gz", members)
            folder.drop("stdout")
        given += folder.read()
    assert given == [f"stdout | {line}" for line in lines]


def test_a_line_without_end_waits_for_it_while_the_job_runs(
    folder: Folder, monkeypatch: Any
) -> None:
    folder.put("stderr", "whole\nhal")
    assert folder.read() == ["stderr | whole"]
    folder.put("stderr", "whole\nhalf\nlast")
    assert folder.read() == ["stderr | half"]
    # It was uploaded before the job ended: the rest of the line may still come.
    folder.ended = datetime.now(UTC) + timedelta(seconds=5)
    with monkeypatch.context() as patch:
        patch.setattr(folder.client, "get_object", lambda **_: pytest.fail("read again"))
        assert folder.read() == []
    folder.ended = datetime.now(UTC) - timedelta(seconds=5)
    assert folder.read() == ["stderr | last"]
    assert folder.read() == []


def test_a_line_without_end_is_given_some_time_after_the_job_ended(folder: Folder) -> None:
    folder.put("stderr", "last")
    (stored,) = stored_logs(folder.client, folder.uri, NAMES).values()
    old = replace(stored, modified=datetime.now(UTC) - timedelta(hours=1))
    for seconds, expected in ((s3_logs.SETTLED - 20, []), (s3_logs.SETTLED + 5, ["stderr | last"])):
        folder.ended = datetime.now(UTC) - timedelta(seconds=seconds)
        reader = folder.reader()
        reader.read("stderr", old)
        assert reader.lines == expected


def test_nobody_asks_for_the_end_of_a_job_without_need(folder: Folder) -> None:
    folder.put("stderr", "whole\n")
    (stored,) = stored_logs(folder.client, folder.uri, NAMES).values()
    Reader(folder.client, {}, lambda: pytest.fail("asked")).read("stderr", stored)


def test_what_has_not_changed_is_not_read_again(folder: Folder, monkeypatch: Any) -> None:
    folder.put("stderr.gz", gzip.compress(b"a\n"))
    folder.read()
    monkeypatch.setattr(folder.client, "get_object", lambda **_: pytest.fail("read again"))
    assert folder.read() == []


def test_only_what_is_new_of_a_plain_log_is_fetched(folder: Folder, monkeypatch: Any) -> None:
    ranges = []
    get = folder.client.get_object
    monkeypatch.setattr(
        folder.client, "get_object", lambda **a: (ranges.append(a.get("Range")), get(**a))[1]
    )
    for text in ("a\n", "a\nbc\n"):
        folder.put("stderr", text)
        folder.read()
    assert ranges == [None, "bytes=2-"]


def test_of_many_lines_the_first_and_the_last_are_given(folder: Folder) -> None:
    many = 20_000
    text = "".join(f"line {n}\n" for n in range(many))
    folder.put("stderr.gz", gzip.compress(text.encode()))
    heard: list[str] = []
    (stored,) = stored_logs(folder.client, folder.uri, NAMES).values()
    reader = folder.reader()
    reader.read("stderr", stored, heard.append)
    most = LINES // 2
    assert len(reader.lines) == most + 1
    assert reader.lines[most // 2 - 1 : most // 2 + 2] == [
        f"stderr | line {most // 2 - 1}",
        f"stderr | [{many - most} lines are left out here; {folder.uri}/stderr.gz has all]",
        f"stderr | line {many - most // 2}",
    ]
    assert reader.lines[-1] == f"stderr | line {many - 1}"
    assert len(heard) == many


def test_a_call_gives_lines_of_every_log_however_long_the_first_is(folder: Folder) -> None:
    for n in range(30):
        folder.put(f"container_{n:02}/stdout", "line\n" * 10_000)
    lines = folder.read()
    assert len(lines) < LINES + 30 * 21
    assert {line.partition(" | ")[0] for line in lines} == {
        f"container_{n:02}/stdout" for n in range(30)
    }


def test_too_many_logs_are_said_once(folder: Folder) -> None:
    for n in range(FILES + 5):
        folder.put(f"container_{n:03}/stdout", "line\n")
    lines = folder.read()
    assert len(lines) == FILES + 1
    assert lines[-1] == f"more files | [only {FILES} are read; all are below {folder.uri}/]"
    for n in range(FILES + 5):
        folder.put(f"container_{n:03}/stdout", "line\nmore\n")
    assert folder.read() == [f"container_{n:03}/stdout | more" for n in range(FILES)]


def test_long_lines_and_progress_bars_are_broken(folder: Folder) -> None:
    folder.put("stdout", "x" * (2 * LONGEST + 1) + "\n10 %\r20 %\r\nend\r\n")
    folder.put("stderr", "y" * (LONGEST + 3))
    assert [line.removeprefix("stdout | ") for line in folder.read()[1:]] == [
        "x" * LONGEST, "x" * LONGEST, "x", "10 %", "20 %", "end",
    ]  # fmt: skip
    assert folder.places["stderr"][0] == LONGEST


def test_a_damaged_log_gives_what_can_be_read_and_goes_on_when_it_is_mended(
    folder: Folder,
) -> None:
    text = "".join(f"{n} {random.Random(n).random()}\n" for n in range(5000)).encode()
    zipped = gzip.compress(text)
    folder.put("stdout.gz", zipped[: len(zipped) // 2])
    some = folder.read()
    folder.put("stdout.gz", zipped[: len(zipped) // 2] + b"\xff" * 50)
    some += folder.read()
    folder.put("stdout.gz", zipped + b"\0" * 20)
    given = some + folder.read()
    assert 0 < len(some) < 5000
    first = given.index(f"stdout | {text.decode().splitlines()[len(some) - 1]}")
    assert first == len(some) - 1  # up to the damage
    assert given[-1] == f"stdout | {text.decode().splitlines()[-1]}"


def test_a_log_that_was_replaced_just_now_is_left_for_the_next_call(folder: Folder) -> None:
    folder.put("stderr", "a\n")
    (stored,) = stored_logs(folder.client, folder.uri, NAMES).values()
    folder.drop("stderr")
    reader = folder.reader()
    reader.read("stderr", stored)
    assert reader.lines == []
    folder.put("stderr.gz", gzip.compress(b"a\n"))
    folder.places = reader.places
    assert folder.read() == ["stderr | a"]


def test_memory_does_not_grow_with_a_log(folder: Folder) -> None:
    import tracemalloc

    most = []
    for many in (1_000, 60_000):
        folder.places = {}
        folder.put("stderr.gz", gzip.compress((b"1" * 99 + b"\n") * many))
        tracemalloc.start()
        folder.read()
        most.append(tracemalloc.get_traced_memory()[1])  # moto runs in this process too
        tracemalloc.stop()
    assert most[1] - most[0] < 2e6  # of 6 MB


def test_an_excerpt_leaves_nothing_out_where_there_is_room() -> None:
    excerpt = Excerpt(5)
    for n in range(5):
        excerpt.add(str(n))
    assert excerpt.lines("s3://b/k") == list("01234")
    excerpt.add("5")
    assert excerpt.lines("s3://b/k") == [
        "0", "1", "[1 lines are left out here; s3://b/k has all]", "3", "4", "5",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stored", "ended", "final"),
    [
        ([60, 25], 30, True),  # one log did not change in the round after the end
        ([60, 40], 30, False),  # the round after the end is still to come
        ([60, 25], None, False),  # it runs
        ([25, 5], 30, False),  # the round may go on
        ([], 30, False),
    ],
)
def test_logs_are_final_when_a_round_of_uploads_after_the_end_is_over(
    stored: list[int], ended: int | None, final: bool
) -> None:
    def ago(seconds: int) -> datetime:
        return datetime.now(UTC) - timedelta(seconds=seconds)

    logs = {str(age): Stored("s3://a/b", 1, "", ago(age)) for age in stored}
    assert are_final(logs, None if ended is None else ago(ended)) is final
