"""Log lines from CloudWatch: each once, in order, however late and in however many streams."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from millrace.jobs.cloudwatch import PAGES, read_streams
from tests.integration.aws.standin import StandIn

GROUP = "/aws/sagemaker/TrainingJobs"
AT_ONCE = 10_000  # the most lines that PutLogEvents takes, and GetLogEvents gives


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("aws")) as started:
        yield started


@pytest.fixture(scope="module")
def client(aws: StandIn) -> Any:
    return aws.client("logs", config=Config(retries={"total_max_attempts": 1}))


def write(client: Any, stream: str, lines: Sequence[str], group: str = GROUP) -> None:
    """Append lines to a stream, which is made where it is not there."""
    exists = client.exceptions.ResourceAlreadyExistsException
    for make, names in (
        (client.create_log_group, {"logGroupName": group}),
        (client.create_log_stream, {"logGroupName": group, "logStreamName": stream}),
    ):
        with suppress(exists):
            make(**names)
    now = int(time.time() * 1000)
    for start in range(0, len(lines), AT_ONCE):
        events = [{"timestamp": now, "message": line} for line in lines[start : start + AT_ONCE]]
        client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def test_before_the_group_is_made_there_are_no_lines(client: Any) -> None:
    lines = read_streams(client, "/not/there", "a-1/", {})
    assert (list(lines.lines), lines.cursor) == ([], {})


def test_each_line_is_read_once(client: Any) -> None:
    write(client, "once-1/algo-1-1700000000", ["one", "two  "])
    first = read_streams(client, GROUP, "once-1/", {})
    assert first.lines == ["one", "two"]
    cursor = json.loads(json.dumps(first.cursor))
    again = read_streams(client, GROUP, "once-1/", cursor)
    assert (list(again.lines), again.cursor) == ([], cursor)
    write(client, "once-1/algo-1-1700000000", ["late"])
    assert read_streams(client, GROUP, "once-1/", cursor).lines == ["late"]
    assert read_streams(client, GROUP, "once-1/", {}).lines == ["one", "two", "late"]


def test_only_streams_of_this_try_are_read(client: Any) -> None:
    write(client, "try-1/algo-1-1700000000", ["first"])
    write(client, "try-10/algo-1-1700000000", ["tenth"])
    assert read_streams(client, GROUP, "try-1/", {}).lines == ["first"]


def test_streams_are_told_apart(client: Any) -> None:
    write(client, "many-1/algo-1-1700000000", ["from one"])
    first = read_streams(client, GROUP, "many-1/", {})
    assert first.lines == ["from one"]
    write(client, "many-1/algo-2-1700000000", ["from two"])
    write(client, "many-1/algo-1-1700000000", ["one again"])
    second = read_streams(client, GROUP, "many-1/", first.cursor)
    assert second.lines == ["algo-1-1700000000 | one again", "algo-2-1700000000 | from two"]
    assert set(second.cursor) == {f"many-1/algo-{n}-1700000000" for n in (1, 2)}


def test_a_long_log_is_read_to_its_end_in_bounded_pieces(client: Any) -> None:
    wanted = [f"line {number}" for number in range((PAGES + 1) * AT_ONCE + 7)]
    write(client, "long-1/algo-1-1700000000", wanted)
    first = read_streams(client, GROUP, "long-1/", {})
    assert first.lines == wanted[: PAGES * AT_ONCE]
    assert read_streams(client, GROUP, "long-1/", first.cursor).lines == wanted[PAGES * AT_ONCE :]


def test_a_throttled_read_loses_nothing(aws: StandIn, client: Any) -> None:
    write(client, "busy-1/algo-1-1700000000", ["one"])
    write(client, "busy-1/algo-2-1700000000", ["two"])
    aws.fault({"fault": "throttling", "operation": "GetLogEvents", "times": 1})
    with pytest.raises(ClientError, match="Throttling"):
        read_streams(client, GROUP, "busy-1/", {})
    assert len(read_streams(client, GROUP, "busy-1/", {}).lines) == 2


def test_botocore_itself_waits_out_a_throttled_read(aws: StandIn, client: Any) -> None:
    write(client, "calm-1/algo-1-1700000000", ["one"])
    aws.fault({"fault": "throttling", "operation": "GetLogEvents", "times": 2})
    patient = aws.client("logs", config=Config(retries={"mode": "standard", "max_attempts": 6}))
    assert read_streams(patient, GROUP, "calm-1/", {}).lines == ["one"]


def test_an_empty_page_is_no_end(client: Any) -> None:
    """CloudWatch may answer nothing and still have more behind the next token."""
    pages: list[tuple[list[str], str]] = [([], "f/1"), (["behind"], "f/2"), ([], "f/2")]
    with Stubber(client) as stub:
        names = {"logStreams": [{"logStreamName": "gap-1/algo-1-1700000000"}]}
        stub.add_response("describe_log_streams", names)
        for messages, token in pages:
            events = [{"message": message} for message in messages]
            stub.add_response("get_log_events", {"events": events, "nextForwardToken": token})
        assert read_streams(client, GROUP, "gap-1/", {}).lines == ["behind"]
        stub.assert_no_pending_responses()
