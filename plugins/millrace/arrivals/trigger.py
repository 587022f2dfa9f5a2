"""The Airflow edge of the arrivals: what wakes the DAG, what its run starts, what it acknowledges.

A message only says where to look; whether a partition is complete, and which content it has, is
read from the lake. A message is deleted after the runs it called for exist, so one whose run died
comes back when its visibility timeout is over.
"""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import math
import time
from collections.abc import Iterator
from typing import Any

from airflow.sdk import (
    Asset,
    AssetOrTimeSchedule,
    AssetWatcher,
    CronTriggerTimetable,
    get_current_context,
)

from millrace.arrivals.events import read_events
from millrace.arrivals.partitions import Arrival, arrivals_in, without_run
from millrace.datasets import AnySpec, load_image_specs, load_relational_specs, load_specs
from millrace.lake import Store
from millrace.runs import open_lake
from millrace.settings import Settings

log = logging.getLogger(__name__)

SCAN = "*/10 * * * *"
LOOK_BACK = dt.timedelta(days=7)
"""What came earlier is history: switching arrivals on must not start years of it."""
QUIET = 30.0
"""Seconds without a change after which a file in a local folder counts as written to its end."""
STARTED_AT_ONCE = 200  # runs; Airflow maps a task over at most 1024 (`max_map_length`)
INVISIBLE = 60  # seconds that a received message is kept from others; a run takes a few
DELETED_AT_ONCE = 10  # the most messages one DeleteMessageBatch takes


def events_queue(settings: Settings) -> str:
    """Address of the SQS queue that S3 tells of uploads to the lake; empty where there is none."""
    if settings.aws is None or not settings.lake.startswith("s3://"):
        return ""
    return settings.aws.events_queue


def schedule_of_arrivals(settings: Settings) -> AssetOrTimeSchedule | str:
    """The reconciling scan, and, where a queue is set, every message in it."""
    queue = events_queue(settings)
    if not queue:
        return SCAN
    from airflow.providers.amazon.aws.triggers.sqs import SqsSensorTrigger

    trigger = SqsSensorTrigger(
        queue,
        aws_conn_id=settings.aws_connection,
        region_name=settings.aws_region,
        max_messages=10,
        wait_time_seconds=20,
        visibility_timeout=INVISIBLE,
        delete_message_on_reception=False,
        waiter_delay=1,
    )
    uploads = Asset("raw_uploads", watchers=[AssetWatcher("raw_uploads_queue", trigger)])
    return AssetOrTimeSchedule(
        timetable=CronTriggerTimetable(SCAN, timezone="UTC"), assets=[uploads]
    )


def find_arrivals() -> list[dict[str, Any]]:
    """The runs to start, as arguments of TriggerDagRunOperator.

    A run that messages woke looks at the data sets they name, any other run at all of them.
    """
    settings = Settings.from_environment()
    specs: dict[str, AnySpec] = {
        **load_specs(settings.datasets)[0], **load_image_specs(settings.datasets)[0],
        **load_relational_specs(settings.datasets)[0],
    }  # fmt: skip
    messages = _messages()
    if messages:
        reading = read_events([each["Body"] for each in messages], settings.lake, specs)
        for reason in reading.ignored:
            log.info("Ignored %s", reason)
        named = {upload.dataset for upload in reading.uploads}
        specs = {name: spec for name, spec in specs.items() if name in named}
    found = recent(open_lake(settings), specs, time.time())
    missing = without_run(found, _count_runs)
    log.info("%d partitions looked at, %d without a run.", len(found), len(missing))
    if len(missing) > STARTED_AT_ONCE:
        log.warning("Starting the first %d; the next scan takes the rest.", STARTED_AT_ONCE)
    return [start_of(arrival) for arrival in missing[:STARTED_AT_ONCE]]


def recent(store: Store, specs: dict[str, AnySpec], now: float) -> list[Arrival]:
    """Complete partitions that changed lately; in a local folder, those nobody writes to now."""
    since = now - LOOK_BACK.total_seconds()
    until = math.inf if store.root.startswith("s3://") else now - QUIET
    return [
        arrival
        for spec in specs.values()
        for arrival in arrivals_in(store, spec)
        if since <= arrival.modified <= until
    ]


def start_of(arrival: Arrival) -> dict[str, Any]:
    """The arguments of TriggerDagRunOperator that start one arrival's run."""
    return {
        "trigger_dag_id": arrival.dataset,
        "trigger_run_id": arrival.run_id,
        "conf": {"partition": arrival.partition},
        "note": f"Started by the arrival of {arrival.files} files, {arrival.bytes:,} bytes.",
    }


def acknowledge() -> int:
    """Delete the messages of this run from the queue, and say how many."""
    settings, messages = Settings.from_environment(), _messages()
    queue = events_queue(settings)
    if not messages or not queue:
        return 0
    from airflow.providers.amazon.aws.hooks.sqs import SqsHook

    client = SqsHook(settings.aws_connection, region_name=settings.aws_region).get_conn()
    for batch in itertools.batched(messages, DELETED_AT_ONCE):
        entries = [
            {"Id": str(number), "ReceiptHandle": each["ReceiptHandle"]}
            for number, each in enumerate(batch)
        ]
        answer = client.delete_message_batch(QueueUrl=queue, Entries=entries)
        for failure in answer.get("Failed", []):
            log.warning("A message comes back, which does no harm: %s", failure.get("Message"))
    return len(messages)


def _messages() -> list[dict[str, Any]]:
    """The queue's messages that woke this run; none where the clock or a person did."""
    return list(_of_events(get_current_context()["triggering_asset_events"]))


def _of_events(events_by_asset: Any) -> Iterator[dict[str, Any]]:
    for events in events_by_asset.values():
        for event in events:
            yield from event.extra.get("payload", {}).get("message_batch", [])


def _count_runs(dag_id: str, run_ids: list[str]) -> int:
    return get_current_context()["ti"].get_dr_count(dag_id=dag_id, run_ids=run_ids)
