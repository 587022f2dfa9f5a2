"""What a durable job costs besides the job itself, against the provider's deferrable operator.

Both run one task a run through the real scheduler, on the executing stand-in of AWS.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from bench.measure import SCRIPTS, BenchmarkError, Comparison, in_turns, load, median

ASKED = re.compile(  # the first line that each way writes about an answer of SageMaker's
    r"^(\S+) info (?:millrace-\S+: \w+|Training job not done yet: .*)$", re.MULTILINE
)
PACE = {"Downloading": 3.0}  # seconds; the first question must come before the end of the job
INTERVAL = 1  # seconds between two questions, of both ways
TIMEOUT = 120.0
SCRIPT = "print('trained', flush=True)\n"


@dataclass(frozen=True)
class Overhead:
    """Seconds of one task that are not the job's.

    Attributes:
        submit: from the task's start to the job's.
        watch: from the job's start to the first question about it from the triggerer.
        finish: from the job's end to the task's success.
    """

    submit: float
    watch: float
    finish: float


def run(times: int = 4) -> list[Comparison]:
    """Compare the overhead of one job in seconds, after one job each that is not counted."""
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        busy = load()
        with _rehearsal(Path(name)) as running:
            numbers = count(1)
            ways = {
                way: lambda dag=f"overhead_{way}": _one_job(running, dag, next(numbers))
                for way in ("ours", "usual")
            }
            in_turns(ways, 1)
            found = in_turns(ways, times)
    how = (
        f"median of {times} jobs each, asked about every {INTERVAL} s by both, through the"
        " scheduler against the executing stand-in of AWS; other is the provider's"
        " SageMakerTrainingOperator(deferrable=True), whose own default is every 30 s, which never"
        " finds the job of an earlier try, stops nothing, prints the log once before it defers and"
        f" publishes nothing; {busy} before"
    )
    return [
        Comparison(f"job_overhead_{part}", *_medians(found, part), "s", f"{what}; {how}")
        for part, what in {
            "submit": "from the start of the task to the job's",
            "watch": "from the start of the job to the triggerer's first question about it",
            "finish": "from the end of the job to the task's success; ours waits for late lines"
            " of the job's log and publishes its output",
        }.items()
    ]


def _medians(found: dict[str, list[Overhead]], part: str) -> tuple[float, float]:
    ours, usual = ([getattr(each, part) for each in found[way]] for way in ("ours", "usual"))
    return median(ours), median(usual)


def _one_job(running: Any, dag_id: str, number: int) -> Overhead:
    """Run one job as one task of a run."""
    api = running.stack.api
    run_id = api.trigger(dag_id, {"number": number})
    state = api.wait(dag_id, run_id, TIMEOUT)["state"]
    (task,) = api.task_instances(dag_id, run_id)
    said = api.log(dag_id, run_id, "train", task["try_number"])
    if state != "success":
        raise BenchmarkError(f"the run {run_id} of {dag_id} ended as {state}:\n{said[-3000:]}")
    return overhead_of(running.aws.jobs()[-1], task, said)


def overhead_of(job: Mapping[str, Any], task: Mapping[str, Any], said: str) -> Overhead:
    """What one task took besides its job.

    Args:
        job: the job as the stand-in lists it.
        task: the task as Airflow's API describes it.
        said: the task's log.

    Raises:
        BenchmarkError: nobody asked about the job while it ran.
    """
    created, ended = job["created"], job["ended"]
    asked = [at for at in map(_seconds, ASKED.findall(said)) if created < at < ended]
    if not asked:
        raise BenchmarkError(f"nobody asked about {job['title']} while it ran:\n{said[-3000:]}")
    return Overhead(
        submit=created - _seconds(task["start_date"]),
        watch=asked[0] - created,
        finish=_seconds(task["end_date"]) - ended,
    )


def _seconds(moment: str) -> float:
    return dt.datetime.fromisoformat(moment).timestamp()


@contextmanager
def _rehearsal(folder: Path) -> Iterator[Any]:
    """The stand-in and a stack with both DAGs."""
    from tests.integration.aws.stack import BUCKET, rehearsal

    from millrace.stack import terminate_as_exit

    dags = folder / "dags"
    dags.mkdir()
    shutil.copy(SCRIPTS / "overhead_dags.py", dags)
    variables = {
        "MILLRACE_DAGS": str(dags),
        "MILLRACE_POLL_INTERVAL": str(INTERVAL),
        "BENCH_REQUEST": json.dumps(_request()),
    }
    terminate_as_exit()
    with rehearsal(folder, variables, PACE) as running:
        running.aws.client("s3").put_object(
            Bucket=BUCKET, Key="lake/jobs/sent/overhead.tar.gz", Body=_source()
        )
        names = ["overhead_ours", "overhead_usual"]
        running.stack.api.wait_for_dags(names)
        for name in names:
            running.stack.api.unpause(name)
        yield running


def _request() -> dict[str, Any]:
    """The body of CreateTrainingJob for a script that does nothing."""
    from tests.integration.aws.stack import JOBS_ROLE, LAKE
    from tests.integration.aws.standin.account import REGION, role_arn

    from millrace.aws.requests import training_request
    from millrace.aws.target import AwsSettings

    body = training_request(
        AwsSettings(region=REGION, sagemaker_role=role_arn(JOBS_ROLE)),
        image=f"123456789012.dkr.ecr.{REGION}.amazonaws.com/sagemaker-xgboost:3.0-5",
        source=f"{LAKE}/jobs/sent/overhead.tar.gz", arguments=[], channel="",
        output=f"{LAKE}/jobs/overhead", limit=600, tags=[{"Key": "project", "Value": "millrace"}],
    )  # fmt: skip
    del body["InputDataConfig"]
    return body


def _source() -> bytes:
    """The archive with the script."""
    raw, script = io.BytesIO(), SCRIPT.encode()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        member = tarfile.TarInfo("train.py")
        member.size = len(script)
        archive.addfile(member, io.BytesIO(script))
    return raw.getvalue()
