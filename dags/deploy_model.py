"""Brings a new champion into service, sees that it is there, and goes back where it is not: one
DAG for every spec that says `deploy`.

A run starts when a pipeline promotes a champion, or by hand; never for a backfill. On ECS the
version is pinned in a new revision of the task definition, and the service is updated to it;
another service takes the champion from the registry by itself. Either way the run asks the service,
through its load balancer, which version it serves. Where that is not the new one, `roll_back`
restores the old revision, and `report_failure` sees that the old version is served, and fails with
the cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import PartitionedAssetTimetable, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from millrace import assets
from millrace.approval import ApproveDeployment
from millrace.datasets.deployment import deployed_specs, needs_approval
from millrace.jobs.operator import job
from millrace.runs import deploy_options, this_run
from millrace.settings import Settings

if TYPE_CHECKING:
    from millrace.datasets import AnySpec
    from millrace.jobs.work import Work

FAILURE = "failure"  # XCom of `verify`: why it failed


def deployment(spec: AnySpec) -> None:
    """Define the DAG of one spec."""

    @task
    def plan() -> dict[str, Any]:
        """Says which version is to come into service, and where; skips where it is there."""
        from millrace.steps.deploy import NothingToDeploy, plan

        events = [said for _, said in assets.heard(get_current_context())]
        try:
            return plan(this_run(spec), events)
        except NothingToDeploy as error:
            raise AirflowSkipException(str(error)) from error

    @job(doc_md="Updates the service, and waits until it is steady on the new revision.")
    def update(plan: Mapping[str, Any]) -> Work:
        from millrace.steps.deploy import update

        return update(this_run(spec), plan)

    @task
    def verify(plan: Mapping[str, Any]) -> str:
        """Asks the service, through its load balancer, for the version and a prediction."""
        from millrace.steps.verify import NotVerified, verify

        try:
            return verify(this_run(spec), plan)
        except NotVerified as error:
            get_current_context()["ti"].xcom_push(key=FAILURE, value=str(error))
            raise

    @job(trigger_rule="one_failed", doc_md="Takes the service back to the revision it ran before.")
    def roll_back(plan: Mapping[str, Any] | None) -> Work:
        from millrace.steps.deploy import roll_back

        if plan is None:
            raise AirflowSkipException("nothing was planned, so nothing was changed")
        return roll_back(this_run(spec), plan)

    @task
    def report_failure(plan: Mapping[str, Any]) -> None:
        """Sees that the old version is in service, and fails with why the new one is not."""
        from millrace.steps.deploy import why
        from millrace.steps.verify import report_failure

        run = this_run(spec)
        found = get_current_context()["ti"].xcom_pull(task_ids="verify", key=FAILURE)
        report_failure(run, plan, found or why(run, plan))

    @dag(
        schedule=PartitionedAssetTimetable(assets=assets.champion_of(spec.name)),
        **deploy_options(spec, __doc__),
    )
    def pipeline() -> None:
        planned: Any = plan()
        updated, verified = update(planned), verify(planned)
        if needs_approval(spec):
            question = ApproveDeployment(
                task_id="approve", dataset=spec.name, doc_md=ApproveDeployment.__doc__
            )
            planned >> question >> updated
        planned >> updated >> verified
        [updated, verified] >> roll_back(planned) >> report_failure(planned)

    pipeline()


for each in deployed_specs(Settings.from_environment().datasets).values():
    deployment(each)
