"""Publishing what a job has written into the lake by itself: on a folder and on S3."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from millrace.lake import Attempt, Conflict, LakeError, Place, Store, publish, read_published
from millrace.lake.account import ACCOUNT

PLACE = Place("features", "fruits", "2026-03-01")
NAME = "attempt=0a1b2c3d4e-1"
FOLDER = f"{PLACE}/{NAME}"
FILES = {"features/part-0.parquet": b"12345", "pca/mean.csv": b"a,b\n1,2\n"}


def write(store: Store, files: dict[str, bytes], account: Any = None) -> None:
    """What a job leaves; its account comes last."""
    for name, data in files.items():
        store.replace(f"{FOLDER}/{name}", data, None)
    if account is None:
        account = {"files": {name: facts(data) for name, data in FILES.items()},
                   "facts": {"rows": 2, "width": 1280}}  # fmt: skip
    present = store.read(f"{FOLDER}/{ACCOUNT}")
    text = account if isinstance(account, str) else json.dumps(account)
    store.replace(f"{FOLDER}/{ACCOUNT}", text.encode(), present[1] if present else None)


def facts(data: bytes) -> dict[str, Any]:
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def adopts(name: str = NAME, seen: list[Path] | None = None) -> Callable[[Attempt], None]:
    def build(attempt: Attempt) -> None:
        if seen is not None:
            seen.append(attempt.folder)
        attempt.written = name
        attempt.facts["job"] = "millrace-fruits-1"

    return build


def adopt(store: Store, **options: Any) -> Any:
    return publish(store, PLACE, depends_on={"on": 1}, build=adopts(), **options)


def test_what_a_job_wrote_is_published_where_it_lies(store: Store) -> None:
    write(store, FILES)
    before = store.list(str(PLACE))
    seen: list[Path] = []
    made = publish(store, PLACE, depends_on={}, build=adopts(seen=seen), inputs={"raw": "abc"})
    assert made.uri == store.uri(FOLDER)
    assert made.facts == {"rows": 2, "width": 1280, "job": "millrace-fruits-1"}
    assert set(made.manifest.files) == set(FILES)
    assert made.path("features/part-0.parquet").read_bytes() == b"12345"
    found = read_published(store, PLACE)
    assert found and found.manifest == made.manifest
    assert not seen[0].exists()
    assert {e.key for e in store.list(str(PLACE))} - {e.key for e in before} == {
        f"{PLACE}/_MANIFEST.json"
    }


def test_it_is_published_once(store: Store) -> None:
    write(store, FILES)
    assert adopt(store).manifest == adopt(store).manifest


@pytest.mark.parametrize("gone", [ACCOUNT, *FILES])
def test_a_missing_file_publishes_nothing_and_says_which(store: Store, gone: str) -> None:
    write(store, FILES)
    store.delete(f"{FOLDER}/{gone}")
    with pytest.raises(FileNotFoundError, match=gone):
        adopt(store)
    assert read_published(store, PLACE) is None
    assert len(store.list(FOLDER)) == len(FILES)  # for whoever looks into it


def test_a_cut_file_is_refused(store: Store) -> None:
    write(store, {**FILES, "pca/mean.csv": b"a,b\n"})
    with pytest.raises(LakeError, match=r"mean.csv has 4 bytes, and the job that made it wrote 8"):
        adopt(store)
    assert read_published(store, PLACE) is None


def test_a_file_that_was_changed_is_found_when_it_is_read(store: Store) -> None:
    write(store, {**FILES, "features/part-0.parquet": b"54321"})
    with pytest.raises(LakeError, match="is not the file that was published"):
        adopt(store).path("features/part-0.parquet")


@pytest.mark.parametrize(
    "account", ["{", "[]", '{"files": {"a": 1}, "facts": {}}', '{"files": {}}', '{"facts": {}}']
)
def test_an_account_that_is_none_is_refused(store: Store, account: str) -> None:
    write(store, FILES, account)
    with pytest.raises(LakeError, match=r"job.json is no account of a job"):
        adopt(store)


@pytest.mark.parametrize("name", ["attempt=", "elsewhere", "..", "attempt=x y"])
def test_only_an_attempt_can_be_adopted(store: Store, name: str) -> None:
    with pytest.raises(LakeError, match="is no attempt"):
        publish(store, PLACE, depends_on={}, build=adopts(name))


def test_a_lost_connection_leaves_the_files_to_the_next_try(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, FILES)

    def breaks(key: str, data: bytes, version: str | None) -> str:
        raise TimeoutError("no answer")

    with monkeypatch.context() as patched:
        patched.setattr(store, "replace", breaks)
        with pytest.raises(TimeoutError):
            adopt(store)
    assert adopt(store).facts["rows"] == 2


def test_who_comes_second_with_something_else_takes_its_files_away(store: Store) -> None:
    write(store, FILES)

    def build(attempt: Attempt) -> None:
        publish(store, PLACE, depends_on={"other": 1}, build=lambda other: other.write("x", "y"))
        adopts()(attempt)

    with pytest.raises(Conflict):
        publish(store, PLACE, depends_on={"on": 1}, build=build)
    assert store.list(FOLDER) == []


def test_a_walk_gives_what_a_listing_gives(store: Store) -> None:
    for name in ("b/1", "a/2", "a/1", "c"):
        store.replace(f"raw/{name}", b"x", None)
    assert [entry.key for entry in store.list("raw")] == ["raw/a/1", "raw/a/2", "raw/b/1", "raw/c"]
    assert set(store.walk("raw")) == set(store.list("raw"))
