"""The tasks around a Spark job: the cluster that is made for it, and ended whatever happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk.exceptions import AirflowSkipException

from millrace.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

    from millrace.jobs.clusters import WorkOf

CREATE_DOC = "Makes the EMR cluster of this run, or finds it; does nothing where none is needed."
END_DOC = "Ends the cluster, whatever happened; skipped where there was none."


def cluster_tasks(work_of: WorkOf, plan: Any, used_by: str) -> tuple[BaseOperator, BaseOperator]:
    """The tasks that make and end the cluster; where AWS is not set up, two that do nothing.

    Args:
        work_of: gives the work of the Spark job, of the plan.
        plan: what the task `plan` found out.
        used_by: id of the task that needs the cluster.
    """
    if Settings.from_environment().has_aws_target:
        from millrace.jobs.clusters import CreateCluster, TerminateCluster

        create = CreateCluster(
            task_id="create_cluster", work_of=work_of, plan=plan, used_by=used_by,
            doc_md=CREATE_DOC,
        )  # fmt: skip
        return create, TerminateCluster(
            task_id="terminate_cluster", job_flow_id=create.output, doc_md=END_DOC
        )

    return (
        PythonOperator(task_id="create_cluster", python_callable=no_cluster, doc_md=CREATE_DOC),
        PythonOperator(task_id="terminate_cluster", python_callable=no_end, doc_md=END_DOC),
    )


def no_cluster() -> None:
    """Make none. Not skipped: Airflow skips with a setup all that lies before its teardown."""


def no_end() -> None:
    """End none.

    Raises:
        AirflowSkipException: always.
    """
    raise AirflowSkipException("Spark runs on this machine")
