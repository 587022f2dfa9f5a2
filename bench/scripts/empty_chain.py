"""A DAG of empty tasks in a row: what a task costs where it does nothing."""

from airflow.sdk import dag, task
from airflow.sdk.bases.operator import chain

TASKS = 8


@dag(dag_id="empty_chain", schedule=None)
def pipeline() -> None:
    @task
    def nothing() -> None:
        pass

    chain(*(nothing.override(task_id=f"nothing_{number}")() for number in range(TASKS)))


pipeline()
