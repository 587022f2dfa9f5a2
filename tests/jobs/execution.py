"""Jobs that are really executed: the stand-in of AWS with a bucket, and a way to follow a job."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from millrace.jobs.job import Backend, Job, Status
from tests.integration.aws.standin import StandIn

BUCKET = "jobs"
FAILING = """
import time
for n in range(40):
    print("line", n, flush=True)
    time.sleep(0.05)
raise ValueError("the cause")
"""
ENDLESS = "import time\nprint('begun', flush=True)\ntime.sleep(600)\n"
SHORT = "import time\ntime.sleep(1)\n"


@contextmanager
def stand_in(folder: Path) -> Iterator[StandIn]:
    """A stand-in in a hurry, with a bucket."""
    with StandIn(folder, pace={"state": 0.1, "s3_logs": 0.5}) as aws:
        place = {"LocationConstraint": aws.region}
        aws.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
        yield aws


def send(aws: StandIn, code: str) -> str:
    """Upload a script; gives its address."""
    key = f"code/{abs(hash(code))}.py"
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=code.encode())
    return f"s3://{BUCKET}/{key}"


def follow(
    backend: Backend, job: Job, until: Callable[[Status, list[str]], bool], seconds: float = 60
) -> tuple[Status, list[str]]:
    """Poll and read on until the status and the lines so far will do."""
    cursor: Any = {}
    lines: list[str] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status = backend.poll([job])[job]
        came = backend.logs(job, cursor)
        cursor = json.loads(json.dumps(came.cursor))
        lines += came.lines
        if until(status, lines):
            return status, lines
        time.sleep(0.2)
    raise AssertionError(f"{status}\n" + "\n".join(lines))


def ended(status: Status, _lines: list[str]) -> bool:
    return status.state.ended
