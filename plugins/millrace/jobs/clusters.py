"""Setup and teardown of the transient EMR cluster around one job: the provider's operators, safe
against what they are not.

A retry finds the cluster that the try before it made; a cluster is found by its name, so it is
ended also where the call that made it was the last thing its task did; the DAG `stop_orphans` ends
what a dead worker has left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.emr import (
    EmrCreateJobFlowOperator,
    EmrTerminateJobFlowOperator,
)
from airflow.sdk.exceptions import AirflowSkipException

from millrace.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from millrace.jobs.emr_cluster import EmrCluster
    from millrace.jobs.work import Work

WorkOf = Callable[[Mapping[str, Any]], "Work"]


class CreateCluster(EmrCreateJobFlowOperator):
    """Makes the cluster that a task's work asks for; makes none where it asks for none.

    It is not skipped then: Airflow skips with a setup whatever lies between it and its teardown.

    Args:
        work_of: gives the work, of the plan.
        plan: what the task `plan` found out.
        used_by: id of the task that needs the cluster: while it waits, the cluster stays.
    """

    template_fields = (*EmrCreateJobFlowOperator.template_fields, "plan")

    def __init__(self, *, work_of: WorkOf, plan: Any, used_by: str, **options: Any):
        settings = Settings.from_environment()
        super().__init__(
            emr_conn_id=None, aws_conn_id=settings.aws_connection,
            region_name=settings.aws_region, deferrable=False, **options,
        )  # fmt: skip
        self.work_of, self.plan, self.used_by = work_of, plan, used_by

    def execute(self, context: Context) -> str:
        """Find the cluster or make it, and hand its id on; nothing where none is needed."""
        from millrace.aws.errors import aws_calls
        from millrace.jobs.ledger import Waiting, note
        from millrace.jobs.operator import PAGE

        work = self.work_of(self.plan)
        remote, ti = work.remote, context["ti"]
        if remote is None or remote.around is None:
            self.log.info("The work needs no cluster.")
            return ""
        if work.is_done:
            self.log.info("Nothing to do: %s is published.", work.place)
            return ""
        request, clusters = remote.around, self._clusters(context)
        with aws_calls(f"making the cluster {request.name}"):
            remote.send()
            note(
                work.store,
                Waiting(
                    request.kind, request.name, "", remote.connection, remote.region,
                    ti.dag_id, ti.run_id, self.used_by, -1,
                ),
            )  # fmt: skip
            cluster, found = clusters.place(work.store, request)
        self._job_flow_id = cluster.id
        page = clusters.link(cluster)
        ti.xcom_push(key=PAGE, value=page)
        if found:
            self.log.info("%s is there already: %s", cluster, page)
        else:
            price = "unknown" if request.hourly is None else f"${request.hourly:.2f}"
            self.log.info("Made %s: %s. An hour costs %s at most.", cluster, page, price)
        return cluster.id

    def on_kill(self) -> None:
        """End the cluster: the task was failed or cleared while it made it."""
        if getattr(self, "_job_flow_id", None):
            super().on_kill()

    def _clusters(self, context: Context) -> EmrCluster:
        """The clusters of the account; a new one is made as the provider makes it."""
        from millrace.jobs.emr_cluster import EmrCluster

        def create(body: dict[str, Any]) -> str:
            self.job_flow_overrides = body
            return str(super(CreateCluster, self).execute(context))

        return EmrCluster(self.hook.conn, create)


class TerminateCluster(EmrTerminateJobFlowOperator):
    """Ends a cluster, and every other one of its name: a retry of the job makes another cluster
    where the first was lost.
    """

    def __init__(self, *, job_flow_id: Any, **options: Any):
        settings = Settings.from_environment()
        super().__init__(
            job_flow_id=job_flow_id, aws_conn_id=settings.aws_connection,
            region_name=settings.aws_region, deferrable=False, **options,
        )  # fmt: skip

    def execute(self, context: Context) -> None:
        """End them; does no harm to one that has ended.

        Raises:
            AirflowSkipException: there is none.
        """
        from millrace.aws.errors import aws_calls
        from millrace.jobs.emr_cluster import EmrCluster

        if not self.job_flow_id:
            raise AirflowSkipException("there is no cluster")
        with aws_calls(f"terminating the cluster {self.job_flow_id}"):
            super().execute(context)
            clusters = EmrCluster(self.hook.conn)
            for other in clusters.siblings(self.job_flow_id):
                self.log.warning("Terminating %s (%s) too.", other, other.id)
                clusters.stop(other)
