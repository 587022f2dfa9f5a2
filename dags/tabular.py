"""From the raw files of a partition to a registered model: one DAG for every data set spec.

Every task publishes its output in one atomic step, keyed by partition, and does nothing where what
is published already answers: clear, re-run or backfill as you like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import dag, task

from millrace.datasets import DatasetSpec, load_specs
from millrace.jobs.operator import job
from millrace.runs import dag_options, raw_sensor, schedule_of, this_run
from millrace.settings import Settings

if TYPE_CHECKING:
    from millrace.jobs.work import Work

CANDIDATE = "{{ task.op_kwargs['candidate'] }}"


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

    @job(map_index_template=CANDIDATE, doc_md="Trains one candidate as a job of its own.")
    def train(candidate: str) -> Work:
        from millrace.steps.train import train

        return train(this_run(spec), candidate)

    @job(map_index_template=CANDIDATE, doc_md="Lets one model predict the test rows.")
    def transform(candidate: str) -> Work:
        from millrace.steps.train import transform

        return transform(this_run(spec), candidate)

    @task
    def evaluate() -> dict[str, Any]:
        """Scores all candidates on the test rows and publishes the report."""
        from millrace.steps.evaluate import evaluate

        return evaluate(this_run(spec))

    @task
    def log_to_mlflow() -> dict[str, Any]:
        """Logs runs, models and pages to MLflow; spools them where it does not answer."""
        from millrace.steps.log_to_mlflow import log_to_mlflow

        return log_to_mlflow(this_run(spec))

    @task(max_active_tis_per_dag=1)
    def promote() -> dict[str, Any]:
        """Registers the winner; it becomes champion if every gate holds and it is not worse."""
        from millrace.steps.promote import promote

        return promote(this_run(spec))

    @dag(schedule=schedule_of(spec), **dag_options(spec))
    def pipeline() -> None:
        candidates = preprocess()
        raw_sensor(spec, "wait_for_raw") >> validate_raw() >> candidates
        predicted = transform.expand(candidate=train.expand(candidate=candidates))
        predicted >> evaluate() >> log_to_mlflow() >> promote()

    pipeline()


for each in load_specs(Settings.from_environment().datasets)[0].values():
    tabular(each)
