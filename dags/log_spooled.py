"""Logs and promotes what MLflow did not take in time, once it answers again.

A champion that comes this way is announced as `promote` would have done: deployment and scoring
follow.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from millrace import assets
from millrace.datasets.folder import usable_specs
from millrace.datasets.listening import listeners_of
from millrace.runs import DEFAULTS, open_lake
from millrace.settings import Settings


def announcing(dataset: str) -> Any:
    """The task that tells of new champions of one data set."""
    champion = assets.champion_of(dataset)

    @task(task_id=f"announce_{dataset}", outlets=[champion])
    def announce(promoted: list[dict[str, Any]]) -> None:
        """Tells those that wait for a champion of this data set."""
        mine = [each for each in promoted if each["dataset"] == dataset]
        if not mine:
            raise AirflowSkipException(f"{dataset} has no new champion")
        assets.announce(
            get_current_context(), champion, *(each["partition"] for each in mine),
            changed=True, backfill=mine[-1]["backfill"],  # the last one is the champion
        )  # fmt: skip

    return announce


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
    @task.short_circuit
    def log_spooled() -> list[dict[str, Any]]:
        """Empties the spool; names new champions, and ends the run where there are none."""
        from millrace.steps.log_to_mlflow import log_spooled

        settings = Settings.from_environment()
        taken = log_spooled(open_lake(settings), settings)
        return [each for each in taken if each["champion"]]

    promoted = log_spooled()
    for name, spec in usable_specs(Settings.from_environment().datasets).items():
        if listeners_of(spec):
            announcing(name)(promoted)


log_spooled()
