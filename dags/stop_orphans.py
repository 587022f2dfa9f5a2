"""Stops jobs on AWS that no task waits for any more.

Failing or clearing a task stops its job at once where a triggerer holds the task. This DAG finds
the others: the triggerer was down at that moment, or had not taken the task up yet.
"""

from __future__ import annotations

from airflow.sdk import dag, task

from millrace.runs import DEFAULTS, still_waits
from millrace.settings import Settings


@dag(
    schedule="*/5 * * * *" if Settings.from_environment().has_aws_target else None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["jobs"],
    doc_md=__doc__,
    default_args={**DEFAULTS, "owner": "millrace"},
)
def stop_orphans() -> None:
    @task
    def stop_jobs() -> int:
        """Looks through the jobs that tasks have noted; harmless at any time."""
        from millrace.jobs.backends import open_backend
        from millrace.jobs.ledger import stop_orphans
        from millrace.runs import open_lake

        return stop_orphans(open_lake(Settings.from_environment()), still_waits, open_backend)

    stop_jobs()


stop_orphans()
