"""The operator of the DAGs outside a scheduler: what its task would see, and where it defers."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred

from millrace.jobs.operator import JobOperator, job
from millrace.jobs.work import Work
from millrace.steps.run import Run
from millrace.steps.train import train


def training_task(run: Run) -> tuple[JobOperator, Any]:
    """The task that trains one candidate, and the context of its first try."""
    return task_of("train", lambda: train(run, "good"), run)


def task_of(name: str, work: Callable[[], Work], run: Run) -> tuple[JobOperator, Any]:
    """A task that does a piece of work, and the context of its first try."""
    with DAG("outside", schedule=None):
        operator = job(work, task_id=name)().operator
    instance = SimpleNamespace(
        dag_id="outside", run_id=run.run_id, task_id=name, map_index=-1, try_number=1,
        xcom_push=lambda **_: None,
    )  # fmt: skip
    return operator, {"ti": instance}


def deferral_of(operator: JobOperator, context: Any) -> dict[str, Any]:
    """Run the task until it defers: what its second half gets, `{"job": ..., "found": ...}`."""
    try:
        result = operator.execute(context)
    except TaskDeferred as deferred:
        return dict(deferred.kwargs or {})
    raise AssertionError(f"the task did not wait for a job, it gave {result!r}")
