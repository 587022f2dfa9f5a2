"""Reading what is published: files are what the manifest says, and people can read it too."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from millrace.lake import (
    Attempt,
    LakeError,
    LocalStore,
    Store,
    publish,
    read_published,
    require_published,
)
from millrace.lake.manifest import MANIFEST
from tests.lake.published import PLACE, once


@pytest.mark.parametrize("damage", ["tampered", "truncated", "missing"])
def test_a_file_that_is_not_what_was_published(store: Store, damage: str) -> None:
    published = once(store)
    key = f"{PLACE}/{published.manifest.attempt}/deep/rows.csv"
    found = store.read(key)
    assert found is not None
    if damage == "missing":
        store.delete(key)
    else:
        store.replace(key, b"sows" if damage == "tampered" else b"row", found[1])
    what = "is gone" if damage == "missing" else "is not the file that was published"
    with pytest.raises(LakeError, match=rf"rows\.csv {what}; delete .*_MANIFEST") as raised:
        require_published(store, PLACE, "validate_raw").path("deep/rows.csv")
    assert store.uri(f"{PLACE}/{MANIFEST}") in str(raised.value)
    store.delete(f"{PLACE}/{MANIFEST}")
    assert once(store).path("deep/rows.csv").read_text() == "rows"


def test_a_file_the_manifest_does_not_name(store: Store) -> None:
    published = once(store)
    with pytest.raises(LakeError, match=r"has no file 'x'; it has \['deep/rows.csv'"):
        published.path("x")


def test_nothing_is_published(store: Store) -> None:
    assert read_published(store, PLACE) is None
    with pytest.raises(LakeError, match=r"nothing is published at .*run the step train first"):
        require_published(store, PLACE, "train")


@pytest.mark.parametrize(
    "garbage",
    [
        b"", b"{", b"null", b"[]", b'"x"', b"{}", b"\xff\xfe", b'{"attempt": "x"}',
        b'{"attempt": "a", "cause": "c", "files": 3, "facts": {}, "inputs": {}, "code": "",'
        b' "git_commit": "", "created": ""}',
        b'{"attempt": "a", "cause": "c", "files": {"x": {}}, "facts": {}, "inputs": {},'
        b' "code": "", "git_commit": "", "created": ""}',
    ],
)  # fmt: skip
def test_a_manifest_that_is_none(tmp_path: Path, garbage: bytes) -> None:
    store = LocalStore(tmp_path)
    store.replace(f"{PLACE}/{MANIFEST}", garbage, None)
    for use in (lambda: read_published(store, PLACE), lambda: once(store)):
        with pytest.raises(LakeError, match=r"_MANIFEST\.json is no manifest .*delete it"):
            use()


def test_files_outlast_the_object_they_were_asked_of(store: Store) -> None:
    once(store)
    path = require_published(store, PLACE, "validate_raw").path("deep/rows.csv")
    assert path.read_text() == "rows"


def test_the_content_hash_is_that_of_names_and_bytes(tmp_path: Path) -> None:
    def content(*files: tuple[str, str]) -> str:
        store = LocalStore(tmp_path / str(time.monotonic_ns()))

        def build(attempt: Attempt) -> None:
            for name, text in files:
                attempt.write(name, text)

        return publish(store, PLACE, depends_on={}, build=build).manifest.content

    first = content(("a", "1"), ("b", "2"))
    assert first == content(("b", "2"), ("a", "1"))
    assert first != content(("a", "2"), ("b", "1"))
    assert first != content(("a", "1"), ("c", "2"))
    assert len(first) == 64


def test_a_manifest_is_json_that_people_can_read(tmp_path: Path) -> None:
    published = once(LocalStore(tmp_path))
    found = json.loads((tmp_path / str(PLACE) / MANIFEST).read_text())
    assert found["files"].keys() == {"deep/rows.csv", "facts.json"}
    assert found["created"].endswith("+00:00")
    assert found["attempt"] == published.manifest.attempt


def test_figures_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    def build(attempt: Attempt) -> None:
        attempt.write_json("x.json", {"f1": float("nan")})

    with pytest.raises(ValueError, match="not JSON compliant"):
        publish(LocalStore(tmp_path), PLACE, depends_on={}, build=build)
