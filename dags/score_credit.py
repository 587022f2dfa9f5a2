"""Scores with reasons for every row of a partition's features: one DAG for every spec that says
`scoring`, and one that starts them.

The champion is fetched from the registry once and sent to Spark as a file: on this machine, on a
transient EMR cluster that lives for this run alone, or on EMR Serverless. `start_scoring` starts
the run of a partition when its features or its champion have changed. The schedule makes backfills
possible, and finds what no event told: it does nothing where the scores are there, and is skipped
where there are no features or no champion.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import AssetAny, PartitionedAssetTimetable, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from millrace import assets
from millrace.datasets.scoring import scored_specs
from millrace.jobs.operator import job
from millrace.runs import DEFAULTS, daily_partitions, scoring_options, this_run
from millrace.settings import Settings
from millrace.spark_tasks import cluster_tasks
from millrace.started_runs import start_runs

if TYPE_CHECKING:
    from millrace.datasets import AnySpec
    from millrace.jobs.work import Work

MIDNIGHT, THE_DAY_BEFORE = "0 0 * * *", -1  # its pipeline has had a day


def scores_of(spec: AnySpec, plan: Mapping[str, Any]) -> Work:
    """The work of the Spark job."""
    from millrace.steps.scoring import score

    return score(this_run(spec), plan["champion"])


def scoring(spec: AnySpec) -> None:
    """Define the DAG of one spec."""

    @task
    def plan() -> dict[str, Any]:
        """Fetches the champion; says what is to be done, where, and about what it costs."""
        from millrace.steps.scoring import NothingToScore, plan

        try:
            return plan(this_run(spec))
        except NothingToScore as error:
            raise AirflowSkipException(str(error)) from error

    @job(doc_md="Scores all rows, tells the reasons, and finds the components, as one Spark job.")
    def score(plan: Mapping[str, Any]) -> Work:
        return scores_of(spec, plan)

    @dag(schedule=daily_partitions(MIDNIGHT, THE_DAY_BEFORE), **scoring_options(spec, __doc__))
    def pipeline() -> None:
        planned = plan()
        create, terminate = cluster_tasks(partial(scores_of, spec), planned, "score")
        scored = score(planned)  # type: ignore[arg-type]  # Airflow gives it the value
        planned >> create >> scored >> terminate.as_teardown(setups=create)

    pipeline()


def starter(names: list[str]) -> None:
    """Define the DAG that starts the others."""
    heard = [of(name) for name in names for of in (assets.features_of, assets.champion_of)]

    @task
    def find_changes() -> list[dict[str, Any]]:
        """Tells which data sets have something new to score, from the events of this run."""
        context = get_current_context()
        partition = context["dag_run"].partition_key
        return [
            {"trigger_dag_id": f"score_{name}", "conf": {"partition": partition}}
            for name in assets.changed(assets.heard(context))
        ]

    @dag(
        dag_id="start_scoring",
        schedule=PartitionedAssetTimetable(assets=AssetAny(*heard)),
        catchup=False,
        max_active_runs=4,
        tags=["scoring"],
        doc_md=__doc__,
        default_args={**DEFAULTS, "owner": "millrace"},
    )
    def pipeline() -> None:
        start_runs(find_changes())

    pipeline()


SPECS = scored_specs(Settings.from_environment().datasets)
for each in SPECS.values():
    scoring(each)
if SPECS:
    starter(list(SPECS))
