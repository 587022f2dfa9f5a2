"""From the raw files of a partition to a registered model: one DAG for every data set spec.

Every task publishes its output in one atomic step, keyed by partition, and does nothing where what
is published already answers: clear, re-run or backfill as you like.
"""

from __future__ import annotations

from airflow.sdk import dag, task

from millrace.datasets import DatasetSpec, load_specs
from millrace.model_tasks import train_and_promote
from millrace.runs import dag_options, raw_sensor, schedule_of, this_run
from millrace.settings import Settings


def tabular(spec: DatasetSpec) -> None:
    """Define the DAG of one spec."""

    @task
    def validate_raw() -> str:
        """Checks and types the raw files. Bad rows go to a quarantine; too many stop the run."""
        from millrace.steps.validate_raw import validate_raw

        return validate_raw(this_run(spec))

    @task
    def preprocess() -> list[str]:
        """Splits, fits the transformation on the train split, and describes the data."""
        from millrace.steps.preprocess import preprocess

        return preprocess(this_run(spec))

    @dag(schedule=schedule_of(spec), **dag_options(spec))
    def pipeline() -> None:
        candidates = preprocess()
        raw_sensor(spec, "wait_for_raw") >> validate_raw() >> candidates
        train_and_promote(spec, candidates)

    pipeline()


for each in load_specs(Settings.from_environment().datasets)[0].values():
    tabular(each)
