"""Watches whether what comes in still looks like what the champion was judged on.

One DAG for every spec that says `drift`. Each day it compares the requests that the model service
has recorded, and the day's own partition, with the champion's test rows, and publishes a page in
`reports/<data set>/<day>/drift`. An alarm is an event; `start_retraining` hears it, and starts the
pipeline for the newest partition where the spec says `retrain`.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import AssetAny, PartitionedAssetTimetable, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from millrace import assets
from millrace.datasets import AnySpec
from millrace.datasets.watching import watch_of, watched_specs
from millrace.runs import DEFAULTS, daily_partitions, open_lake, this_run, watching_options
from millrace.settings import Settings
from millrace.started_runs import start_runs

AT_ONE, THE_DAY_BEFORE = "0 1 * * *", -1  # the service has written what it kept in memory by then


def watching(spec: AnySpec) -> None:
    """Define the DAG of one spec."""
    alarm = assets.drift_of(spec.name)

    @task
    def compare() -> dict[str, Any]:
        """Compares, and publishes the page; skipped where there is nothing to compare."""
        from millrace.steps.watch_drift import NothingToCompare, watch_drift

        try:
            return watch_drift(this_run(spec))
        except NothingToCompare as error:
            raise AirflowSkipException(str(error)) from error

    @task(outlets=[alarm])
    def raise_alarm(found: dict[str, Any]) -> None:
        """Tells that the data have drifted; skipped where they have not."""
        if not found["alarm"]:
            raise AirflowSkipException("no drift to worry about")
        run = this_run(spec)
        assets.announce(get_current_context(), alarm, run.partition, report=found["report"])

    @dag(schedule=daily_partitions(AT_ONE, THE_DAY_BEFORE), **watching_options(spec, __doc__))
    def pipeline() -> None:
        raise_alarm(compare())  # type: ignore[arg-type]  # Airflow gives it the value

    pipeline()


def retraining(specs: dict[str, AnySpec]) -> None:
    """Define the DAG that starts pipelines after alarms."""

    @task
    def find_partitions() -> list[dict[str, Any]]:
        """Names the newest partition of each data set with an alarm."""
        from millrace.arrivals.partitions import arrivals_in

        names = {assets.dataset_of(uri) for uri, _ in assets.heard(get_current_context())}
        lake = open_lake(Settings.from_environment())
        newest = {name: arrivals_in(lake, specs[name])[-1:] for name in sorted(names)}
        return [
            {"trigger_dag_id": name, "conf": {"partition": arrival.partition}}
            for name, arrivals in newest.items()
            for arrival in arrivals
        ]

    @dag(
        dag_id="start_retraining",
        schedule=PartitionedAssetTimetable(assets=AssetAny(*map(assets.drift_of, specs))),
        catchup=False,
        tags=["drift"],
        doc_md=__doc__,
        default_args={**DEFAULTS, "owner": "millrace"},
    )
    def pipeline() -> None:
        start_runs(find_partitions())

    pipeline()


SPECS = watched_specs(Settings.from_environment().datasets)
for each in SPECS.values():
    watching(each)
RETRAINED = {
    name: spec for name, spec in SPECS.items() if (said := watch_of(spec)) and said.retrain
}
if RETRAINED:
    retraining(RETRAINED)
