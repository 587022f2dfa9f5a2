"""S3's event documents, in every wrapping they come in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.arrivals.events import Reading, is_day, read_events
from tests.arrivals.documents import (
    TEST_EVENT,
    from_event_bridge,
    in_sns,
    notification,
    record,
    sns_to_lambda,
    sqs_to_lambda,
)

LAKE = "s3://lake/deep"
KEY = "deep/raw/orchard/2026-01-05/rows.csv"


def read(*documents: Any) -> Reading:
    return read_events(documents, LAKE, ["orchard", "vineyard"])


@pytest.mark.parametrize(
    "document",
    [
        notification(record(KEY)),
        json.dumps(notification(record(KEY))),
        in_sns(notification(record(KEY))),
        json.dumps(in_sns(notification(record(KEY)))),
        sns_to_lambda(notification(record(KEY))),
        sqs_to_lambda(notification(record(KEY))),
        sqs_to_lambda(in_sns(notification(record(KEY)))),
        sqs_to_lambda(from_event_bridge(KEY)),
        from_event_bridge(KEY),
        record(KEY),
        notification(record(KEY, name="ObjectCreated:CompleteMultipartUpload")),
        notification(record(KEY, name="ObjectCreated:Copy")),
    ],
)
def test_an_upload_is_found_in_every_wrapping(document: Any) -> None:
    found = read(document)
    (upload,) = found.uploads
    assert (upload.dataset, upload.partition, upload.name) == ("orchard", "2026-01-05", "rows.csv")
    assert upload.etag
    assert upload.sequencer
    assert found.ignored == []


@given(name=st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1))
def test_any_name_comes_back_as_it_was_given(name: str) -> None:
    key = f"deep/raw/orchard/2026-01-05/{name}"
    for document in (notification(record(key)), from_event_bridge(key)):
        assert [upload.name for upload in read(document).uploads] == [name]


def test_a_plus_is_a_blank_for_s3_and_a_plus_for_event_bridge() -> None:
    encoded = notification(record("deep/raw/orchard/2026-01-05/a b+c%.csv"))
    assert encoded["Records"][0]["s3"]["object"]["key"].endswith("a+b%2Bc%25.csv")
    assert read(encoded).uploads[0].name == "a b+c%.csv"
    plain = from_event_bridge("deep/raw/orchard/2026-01-05/a+b%20.csv")
    assert read(plain).uploads[0].name == "a+b%20.csv"


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (TEST_EVENT, "s3:TestEvent"),
        (json.dumps(TEST_EVENT), "s3:TestEvent"),
        (notification(record(KEY, name="ObjectRemoved:Delete")), "deleted"),
        (notification(record(KEY, name="ObjectRemoved:DeleteMarkerCreated")), "deleted"),
        (from_event_bridge(KEY, "Object Deleted"), "deleted"),
        (notification(record(KEY, name="ObjectRestore:Completed")), "no upload"),
        (notification(record("deep/processed/orchard/2026-01-05/a")), "not below s3://lake/deep"),
        (notification(record("deeper/raw/orchard/2026-01-05/a")), "not below s3://lake/deep"),
        (notification(record("deep/raw/orchrad/2026-01-05/a")), "no data set 'orchrad'"),
        (notification(record("deep/raw/orchard/2026-1-5/a")), "'2026-1-5' is no day"),
        (notification(record("deep/raw/orchard/2026-02-30/a")), "'2026-02-30' is no day"),
        (notification(record("deep/raw/orchard/20260105/a")), "'20260105' is no day"),
        (notification(record("deep/raw/orchard/rows.csv")), "no file of a partition"),
        (notification(record("deep/raw/orchard/2026-01-05/")), "no file of a partition"),
        ("not JSON", "no JSON"),
        ("17", "no S3 event"),
        (None, "no S3 event"),
        ({"Records": [{"eventSource": "aws:kinesis"}]}, "no S3 event"),
        ({"Records": [{**record(KEY), "s3": {"bucket": {}}}]}, "names no bucket and key"),
    ],
)
def test_what_is_no_upload_is_ignored_and_why(document: Any, why: str) -> None:
    found = read(document)
    assert found.uploads == []
    (reason,) = found.ignored
    assert why in reason


def test_another_bucket_is_ignored() -> None:
    document = notification(record(KEY))
    document["Records"][0]["s3"]["bucket"]["name"] = "lake2"
    assert read(document).uploads == []


def test_records_and_documents_are_read_together_and_each_key_once() -> None:
    other = "deep/raw/vineyard/2026-01-06/a.csv"
    found = read(notification(record(KEY), record(other), record(KEY)), from_event_bridge(KEY))
    assert [upload.dataset for upload in found.uploads] == ["orchard", "vineyard"]


EARLY, LATE = "0055AED6DCD90281", "0055AED6DCD90281E5"  # one is a beginning of the other


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("first", "then", "uploads"),
    [
        ("ObjectCreated:Put", "ObjectRemoved:Delete", 0),
        ("ObjectRemoved:Delete", "ObjectCreated:Put", 1),
    ],
)
def test_the_sequencer_says_what_came_last(
    first: str, then: str, uploads: int, swapped: bool
) -> None:
    records = [record(KEY, name=first, sequencer=EARLY), record(KEY, name=then, sequencer=LATE)]
    found = read(notification(*(reversed(records) if swapped else records)))
    assert len(found.uploads) == uploads


def test_a_lake_at_the_top_of_a_bucket() -> None:
    event = notification(record("raw/orchard/2026-01-05/rows.csv"))
    assert len(read_events([event], "s3://lake", ["orchard"]).uploads) == 1


@pytest.mark.parametrize("text", ["", "2026-01-05T00", "2026-W01-1", "..", "२०२६-०१-०५"])
def test_what_is_no_day(text: str) -> None:
    assert not is_day(text)
