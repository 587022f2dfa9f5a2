"""The tasks that every pipeline ends with: from the candidates to a promoted model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context, task

from millrace import assets
from millrace.datasets.listening import listeners_of
from millrace.jobs.operator import job
from millrace.runs import this_run

if TYPE_CHECKING:
    from airflow.sdk import XComArg

    from millrace.datasets import AnySpec
    from millrace.jobs.work import Work

CANDIDATE = "{{ task.op_kwargs['candidate'] }}"


def train_and_promote(spec: AnySpec, candidates: XComArg) -> None:
    """Add them to the DAG that is being defined.

    Args:
        candidates: names of the candidates to train, as a task hands them on.
    """

    @job(map_index_template=CANDIDATE, doc_md="Trains one candidate as a job of its own.")
    def train(candidate: str) -> Work:
        from millrace.steps.train import train

        return train(this_run(spec), candidate)

    @job(map_index_template=CANDIDATE, doc_md="Lets one model predict the test rows.")
    def transform(candidate: str) -> Work:
        from millrace.steps.train import transform

        return transform(this_run(spec), candidate)

    @task
    def evaluate() -> dict[str, Any]:
        """Scores all candidates on the test rows and publishes the report."""
        from millrace.steps.evaluate import evaluate

        return evaluate(this_run(spec))

    @task
    def explain() -> str:
        """Says why the winner predicts what it does: pictures and figures of test rows."""
        from millrace.steps.explain import explain

        return explain(this_run(spec))

    @task
    def log_to_mlflow() -> dict[str, Any]:
        """Logs runs, models and pages to MLflow; spools them where it does not answer."""
        from millrace.steps.log_to_mlflow import log_to_mlflow

        return log_to_mlflow(this_run(spec))

    champion = assets.champion_of(spec.name)
    heard = bool(listeners_of(spec))

    @task(max_active_tis_per_dag=1, outlets=[champion] if heard else [])
    def promote() -> dict[str, Any]:
        """Registers the winner; it becomes champion if every gate holds and it is not worse."""
        from millrace.steps.promote import promote

        run = this_run(spec)
        verdict = promote(run)
        if heard:
            assets.announce(
                get_current_context(), champion, run.partition,
                changed=verdict["champion"], backfill=run.backfill,
            )  # fmt: skip
        return verdict

    predicted = transform.expand(candidate=train.expand(candidate=candidates))
    predicted >> evaluate() >> explain() >> log_to_mlflow() >> promote()
