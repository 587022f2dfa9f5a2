"""From the tables of a partition to a registered model: one DAG for every spec of several tables.

SQL makes one row of features for each subject; from there on it is the pipeline of one table.
Every task publishes its output in one atomic step, keyed by partition, and does nothing where what
is published already answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import dag, get_current_context, task

from millrace import assets
from millrace.datasets import RelationalSpec, load_relational_specs
from millrace.jobs.operator import job
from millrace.model_tasks import train_and_promote
from millrace.quality import CheckColumns, CheckTable
from millrace.runs import dag_options, raw_sensor, schedule_of, this_run
from millrace.settings import Settings

if TYPE_CHECKING:
    from millrace.jobs.work import Work


def relational(spec: RelationalSpec) -> None:
    """Define the DAG of one spec."""
    features = assets.features_of(spec.name)

    @task
    def load_tables() -> str:
        """Checks and types all tables. Bad rows go to a quarantine; too many stop the run."""
        from millrace.steps.load_tables import load_tables

        return load_tables(this_run(spec))

    @job(outlets=[features], doc_md="Runs the SQL files: one row of features for each subject.")
    def sql_features() -> Work:
        from millrace.steps.sql_features import features_work

        run = this_run(spec)
        work = features_work(run)
        assets.announce(get_current_context(), features, run.partition, uri=work.result)
        return work

    @task
    def preprocess() -> list[str]:
        """Splits, fits the transformation on the train split, and describes the features."""
        from millrace.steps.preprocess import preprocess

        return preprocess(this_run(spec))

    @dag(schedule=schedule_of(spec), **dag_options(spec))
    def pipeline() -> None:
        checks = [
            CheckColumns(task_id="check_columns", spec=spec, doc_md=CheckColumns.__doc__),
            CheckTable(task_id="check_table", spec=spec, doc_md=CheckTable.__doc__),
        ]
        candidates = preprocess()
        raw_sensor(spec, "wait_for_raw") >> load_tables() >> sql_features() >> checks >> candidates
        train_and_promote(spec, candidates)

    pipeline()


for each in load_relational_specs(Settings.from_environment().datasets)[0].values():
    relational(each)
