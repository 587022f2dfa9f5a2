"""From images to a registered model that names what they show: one DAG for every spec of images.

The features come from Spark: on this machine, on a transient EMR cluster that lives for this run
alone, or on EMR Serverless. Every task publishes its output in one atomic step, keyed by partition,
and does nothing where what is published already answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowSkipException

from millrace.datasets import ImageSpec, load_image_specs
from millrace.jobs.operator import job
from millrace.model_tasks import train_and_promote
from millrace.runs import dag_options, raw_sensor, schedule_of, this_run
from millrace.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

    from millrace.jobs.work import Work

SETTINGS = Settings.from_environment()


def features_of(spec: ImageSpec, plan: Mapping[str, Any]) -> Work:
    """The work of the Spark job."""
    from millrace.steps.image_features import image_features

    return image_features(this_run(spec), plan["listing"])


def cluster_tasks(spec: ImageSpec, plan: Any) -> tuple[BaseOperator, BaseOperator]:
    """The tasks that make and end the cluster; where AWS is not set up, two that do nothing."""
    create_doc = (
        "Makes the EMR cluster of this run, or finds it; does nothing where none is needed."
    )
    end_doc = "Ends the cluster, whatever happened; skipped where there was none."
    if SETTINGS.has_aws_target:
        from millrace.jobs.clusters import CreateCluster, TerminateCluster

        create = CreateCluster(
            task_id="create_cluster", work_of=partial(features_of, spec), plan=plan,
            used_by="image_features", doc_md=create_doc,
        )  # fmt: skip
        return create, TerminateCluster(
            task_id="terminate_cluster", job_flow_id=create.output, doc_md=end_doc
        )

    return (
        PythonOperator(task_id="create_cluster", python_callable=no_cluster, doc_md=create_doc),
        PythonOperator(task_id="terminate_cluster", python_callable=no_end, doc_md=end_doc),
    )


def no_cluster() -> None:
    """Make none. Not skipped: Airflow skips with a setup all that lies before its teardown."""


def no_end() -> None:
    """End none.

    Raises:
        AirflowSkipException: always.
    """
    raise AirflowSkipException("Spark runs on this machine")


def images(spec: ImageSpec) -> None:
    """Define the DAG of one spec."""

    @task
    def plan() -> dict[str, Any]:
        """Lists the images; says what is to be done, where, and about what it costs."""
        from millrace.steps.image_features import plan

        return plan(this_run(spec))

    @job(doc_md="Computes features and principal components of all images as one Spark job.")
    def image_features(plan: Mapping[str, Any]) -> Work:
        return features_of(spec, plan)

    @task
    def check_features() -> str:
        """Checks the features: counts, NaN, norms, duplicates, one network; publishes a report."""
        from millrace.steps.check_features import check_features

        return check_features(this_run(spec))

    @task
    def split_components() -> list[str]:
        """Splits the images by views, and describes the components."""
        from millrace.steps.split_components import split_components

        return split_components(this_run(spec))

    @dag(schedule=schedule_of(spec), **dag_options(spec))
    def pipeline() -> None:
        planned = plan()
        raw_sensor(spec, "wait_for_images") >> planned
        create, terminate = cluster_tasks(spec, planned)
        features = image_features(planned)  # type: ignore[arg-type]  # Airflow gives it the value
        planned >> create >> features >> terminate.as_teardown(setups=create)
        candidates = split_components()
        features >> check_features() >> candidates
        train_and_promote(spec, candidates)

    pipeline()


for each in load_image_specs(SETTINGS.datasets)[0].values():
    images(each)
