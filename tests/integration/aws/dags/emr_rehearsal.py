"""A transient EMR cluster around one durable step: the provider's operators and ours together."""

from __future__ import annotations

import datetime as dt
import json
import os
from typing import TYPE_CHECKING

from airflow.providers.amazon.aws.operators.emr import (
    EmrCreateJobFlowOperator,
    EmrTerminateJobFlowOperator,
)
from airflow.sdk import dag

from millrace.jobs.operator import job
from millrace.runs import DEFAULTS, open_lake
from millrace.settings import Settings

if TYPE_CHECKING:
    from millrace.jobs.work import Work

SETTINGS = Settings.from_environment()
CLUSTER = {
    "Name": "millrace-rehearsal",
    "ReleaseLabel": "emr-7.13.0",
    "LogUri": f"{SETTINGS.lake}/jobs/logs/",
    "ServiceRole": os.environ.get("REHEARSAL_ROLE", ""),
    "JobFlowRole": os.environ.get("REHEARSAL_PROFILE", ""),
    "Instances": {
        "KeepJobFlowAliveWhenNoSteps": True,
        "InstanceGroups": [
            {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1}
        ],
    },
    "Tags": [{"Key": "project", "Value": "millrace"}],
}


@dag(
    schedule=None,
    catchup=False,
    params={"partition": "2026-01-01", "fail": False},
    default_args=DEFAULTS | {"retry_delay": dt.timedelta(seconds=2)},
)
def emr_rehearsal() -> None:
    create_cluster = EmrCreateJobFlowOperator(task_id="create_cluster", job_flow_overrides=CLUSTER)

    @job
    def count_squares(cluster: str, partition: str, fail: str) -> Work:
        from millrace.jobs.job import Request
        from millrace.jobs.names import job_name
        from millrace.jobs.work import Remote, Work
        from millrace.lake import Place

        store = open_lake(SETTINGS)
        target = SETTINGS.aws_target()
        place = Place("features", "squares", partition)
        output = f"{place}/attempt=0/sum.json"
        script = store.uri("jobs/sent/count_squares.py")
        arguments = ["spark-submit", "--master", "yarn", script, store.uri(output), fail]
        step = {
            "ActionOnFailure": "CONTINUE",
            "HadoopJarStep": {"Jar": "command-runner.jar", "Args": arguments},
        }
        name = job_name("squares", partition, "count_squares", "", {"cluster": cluster})

        def collect(_job: object, _status: object, attempt: object) -> None:
            found = json.loads(store.local(output).read_text())
            attempt.facts["sum"] = found["sum"]
            attempt.write_json("sum.json", found)

        request = Request("emr_step", name, step, SETTINGS.job_timeout, home=cluster)
        remote = Remote(
            request, lambda: None, collect, SETTINGS.aws_connection, target.region,
            SETTINGS.poll_interval,
        )  # fmt: skip
        return Work(store, partition, place, {"name": name}, {}, _nowhere, remote)

    terminate_cluster = EmrTerminateJobFlowOperator(
        task_id="terminate_cluster", job_flow_id=create_cluster.output
    )
    counted = count_squares(create_cluster.output, "{{ params.partition }}", "{{ params.fail }}")
    create_cluster >> counted >> terminate_cluster.as_teardown(setups=create_cluster)


def _nowhere(_attempt: object) -> None:
    raise AssertionError("this work is done on EMR")


emr_rehearsal()
