"""A training job as one task, twice: our durable job, and the provider's deferrable operator.

Both send the request in the environment's BENCH_REQUEST, under a name of their own for each run,
and ask every MILLRACE_POLL_INTERVAL seconds.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTrainingOperator
from airflow.sdk import dag

from millrace.jobs.operator import job
from millrace.runs import DEFAULTS, open_lake
from millrace.settings import Settings

if TYPE_CHECKING:
    from millrace.jobs.job import Job, Status
    from millrace.jobs.work import Work
    from millrace.lake import Attempt

SETTINGS = Settings.from_environment()
REQUEST = json.loads(os.environ["BENCH_REQUEST"])
PARTITION = "2026-01-01"


@dag(dag_id="overhead_ours", schedule=None, params={"number": 0}, default_args=DEFAULTS)
def ours() -> None:
    @job()
    def train(number: str) -> Work:
        from millrace.jobs.job import Request
        from millrace.jobs.names import job_name
        from millrace.jobs.work import Remote, Work
        from millrace.lake import Place

        def collect(_job: Job, status: Status, attempt: Attempt) -> None:
            attempt.write_json("job.json", {"state": status.state})

        name = job_name("overhead", PARTITION, "train", number, {})
        limit = REQUEST["StoppingCondition"]["MaxRuntimeInSeconds"]
        remote = Remote(
            Request("sagemaker_training", name, REQUEST, limit), lambda: None, collect,
            SETTINGS.aws_connection, SETTINGS.aws_target().region, SETTINGS.poll_interval,
        )  # fmt: skip
        place = Place("models", "overhead", PARTITION, number)
        return Work(open_lake(SETTINGS), name, place, {"name": name}, {}, _nowhere, remote)

    train("{{ params.number }}")


@dag(dag_id="overhead_usual", schedule=None, params={"number": 0}, default_args=DEFAULTS)
def usual() -> None:
    SageMakerTrainingOperator(
        task_id="train",
        config={"TrainingJobName": "millrace-usual-{{ params.number }}", **REQUEST},
        aws_conn_id=SETTINGS.aws_connection,
        region_name=SETTINGS.aws_target().region,
        check_interval=int(SETTINGS.poll_interval),
        deferrable=True,
    )


def _nowhere(_attempt: Attempt) -> None:
    raise AssertionError("this work is done on SageMaker")


ours()
usual()
