"""A task that starts runs of other DAGs."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator


def start_runs(wanted: Any) -> None:
    """Add the task to the DAG that is being defined.

    Args:
        wanted: what an earlier task hands on: for each run `trigger_dag_id` and `conf`, with the
            partition.
    """
    TriggerDagRunOperator.partial(
        task_id="start_run",
        logical_date=None,
        map_index_template="{{ task.trigger_dag_id }} {{ task.conf['partition'] }}",
        doc_md="Starts the run of one partition.",
    ).expand_kwargs(wanted)
