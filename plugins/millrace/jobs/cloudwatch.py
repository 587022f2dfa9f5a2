"""Log lines of a job from CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from millrace.jobs.job import Lines

PAGES = 10  # pages of at most 1 MB or 10,000 lines read in one call


def read_streams(client: Any, group: str, prefix: str, cursor: Mapping[str, Any]) -> Lines:
    """The lines after `cursor` in all streams of a log group whose names begin with `prefix`.

    Args:
        client: boto3's client of CloudWatch Logs.
        cursor: for each stream the token to read on from.
    """
    tokens = dict(cursor)
    lines: list[str] = []
    streams = _streams(client, group, prefix)
    for stream in streams:
        label = f"{stream.rpartition('/')[2]} | " if len(streams) > 1 else ""
        for _ in range(PAGES):
            given = {"nextToken": tokens[stream]} if stream in tokens else {}
            page = client.get_log_events(
                logGroupName=group, logStreamName=stream, startFromHead=True, **given
            )
            lines += [label + event["message"].rstrip() for event in page["events"]]
            at_end = page["nextForwardToken"] == tokens.get(stream)
            tokens[stream] = page["nextForwardToken"]
            if at_end:  # an empty page is no end: more may come behind it
                break
    return Lines(lines, tokens)


def _streams(client: Any, group: str, prefix: str) -> list[str]:
    """Names of the streams; none before the service made the group or a stream."""
    try:
        pages = client.get_paginator("describe_log_streams").paginate(
            logGroupName=group, logStreamNamePrefix=prefix
        )
        return sorted(stream["logStreamName"] for page in pages for stream in page["logStreams"])
    except client.exceptions.ResourceNotFoundException:
        return []
