"""Logs and promotes what MLflow did not take in time, once it answers again."""

from __future__ import annotations

from airflow.sdk import dag, task

from millrace.runs import DEFAULTS, open_lake
from millrace.settings import Settings


@dag(
    schedule="*/10 * * * *",
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,  # nothing may wait in the spool because nobody thought of it
    tags=["maintenance"],
    doc_md=__doc__,
    default_args={**DEFAULTS, "owner": "millrace"},
)
def log_spooled() -> None:
    @task
    def log_spooled() -> int:
        """Empties the spool; does nothing where it is empty."""
        from millrace.steps.log_to_mlflow import log_spooled

        settings = Settings.from_environment()
        return log_spooled(open_lake(settings), settings)

    log_spooled()


log_spooled()
