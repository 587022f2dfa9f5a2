"""Replacing one file, forgetting its old versions, and the copies that jobs were sent."""

from __future__ import annotations

import pytest

from millrace.lake import Conflict
from millrace.privacy.erase import erase
from tests.privacy.loans import KEY, borrower, everything, loan_spec, traces


def test_a_file_that_changed_meanwhile_is_not_replaced(store, tmp_path):
    ours = tmp_path / "ours"
    ours.write_bytes(b"ours")
    version = store.replace("raw/a/x.csv", b"first", None)
    [entry] = store.list("raw/a")
    store.replace("raw/a/x.csv", b"theirs, longer", version)
    with pytest.raises(Conflict):
        store.put(ours, entry)
    assert store.read("raw/a/x.csv")[0] == b"theirs, longer"
    store.put(ours, store.list("raw/a")[0])
    assert store.read("raw/a/x.csv")[0] == b"ours"
    store.delete("raw/a/x.csv")
    with pytest.raises(Conflict):
        store.put(ours, entry)


def test_old_versions_are_forgotten_and_present_files_stay(store):
    version = store.replace("raw/a/x.csv", b"old", None)
    store.replace("raw/a/x.csv", b"new", version)
    store.replace("raw/a/gone.csv", b"gone", None)
    store.delete("raw/a/gone.csv")
    store.replace("raw/ab/y.csv", b"of another data set", None)
    store.forget("raw/a")
    stored = [content for name, content in everything(store) if name.startswith("raw/")]
    assert sorted(stored) == [b"new", b"of another data set"]
    assert store.forget("raw/a") == 0


def test_copies_for_jobs_go_where_they_name_the_person(store):
    lines = '{{"id": "{}", "inputs": []}}\n'
    files = {
        "jobs/sent/one/rows.jsonl": lines.format(borrower(1)) + lines.format(borrower(2)),
        "jobs/sent/two/rows.jsonl": lines.format(borrower(2)),
        "jobs/loan_default/2026-03-01/job/rows.jsonl.out": lines.format(borrower(1)),
        "jobs/loan_default/2026-03-01/job/log.txt": "started",
    }
    for name, text in files.items():
        store.replace(name, text.encode(), None)
    erase(store, loan_spec(), borrower(1), KEY)
    assert traces(store, borrower(1)) == []
    assert [entry.key for entry in store.list("jobs")] == [
        "jobs/loan_default/2026-03-01/job/log.txt", "jobs/sent/two/rows.jsonl",
    ]  # fmt: skip
