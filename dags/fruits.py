"""From images to a registered model that names what they show: one DAG for every spec of images.

The features come from Spark: on this machine, on a transient EMR cluster that lives for this run
alone, or on EMR Serverless. Every task publishes its output in one atomic step, keyed by partition,
and does nothing where what is published already answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import dag, task

from millrace.datasets import ImageSpec, load_image_specs
from millrace.jobs.operator import job
from millrace.model_tasks import train_and_promote
from millrace.runs import dag_options, raw_sensor, schedule_of, this_run
from millrace.settings import Settings
from millrace.spark_tasks import cluster_tasks

if TYPE_CHECKING:
    from millrace.jobs.work import Work

SETTINGS = Settings.from_environment()


def features_of(spec: ImageSpec, plan: Mapping[str, Any]) -> Work:
    """The work of the Spark job."""
    from millrace.steps.image_features import image_features

    return image_features(this_run(spec), plan["listing"])


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
        create, terminate = cluster_tasks(partial(features_of, spec), planned, "image_features")
        features = image_features(planned)  # type: ignore[arg-type]  # Airflow gives it the value
        planned >> create >> features >> terminate.as_teardown(setups=create)
        candidates = split_components()
        features >> check_features() >> candidates
        train_and_promote(spec, candidates)

    pipeline()


for each in load_image_specs(SETTINGS.datasets)[0].values():
    images(each)
