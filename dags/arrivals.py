"""Starts a data set's DAG for every partition whose awaited files have arrived.

An upload to `raw/<dataset>/<partition>/` starts it within seconds where S3 tells an SQS queue of
it (`MILLRACE_EVENTS_QUEUE`). A scan every ten minutes finds what no message told: a lost one, or a
file put into a local folder. The run's id is made from the partition's content: the same content
starts one run however often it is announced, and other content starts another. The runs of a
paused DAG are queued and wait until it is unpaused.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import dag, task

from millrace.arrivals import trigger
from millrace.runs import DEFAULTS
from millrace.settings import Settings

settings = Settings.from_environment()


@dag(
    schedule=trigger.schedule_of_arrivals(settings),
    catchup=False,
    max_active_runs=4,
    # who names a queue wants it to be read
    is_paused_upon_creation=not trigger.events_queue(settings),
    tags=["arrivals"],
    doc_md=__doc__,
    default_args={**DEFAULTS, "owner": "millrace"},
)
def arrivals() -> None:
    @task
    def find_arrivals() -> list[dict[str, Any]]:
        """Looks through `raw/` for complete partitions that no run was started for."""
        return trigger.find_arrivals()

    start_run = TriggerDagRunOperator.partial(
        task_id="start_run",
        logical_date=None,
        skip_when_already_exists=True,
        map_index_template="{{ task.trigger_dag_id }} {{ task.conf['partition'] }}",
        doc_md="Starts the run of one partition; skipped where another copy started it first.",
    )

    @task(trigger_rule="none_failed")
    def acknowledge() -> int:
        """Deletes the messages from the queue, now that their runs exist."""
        return trigger.acknowledge()

    start_run.expand_kwargs(find_arrivals()) >> acknowledge()


arrivals()
