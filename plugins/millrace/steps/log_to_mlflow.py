"""Step: log the published evaluation to MLflow, or spool it where MLflow does not answer."""

from __future__ import annotations

import functools
import logging
from dataclasses import asdict
from typing import Any

from millrace.card import card_of
from millrace.datasets import AnySpec, DatasetSpec, ImageSpec, load_any_spec
from millrace.lake import Published, Store, read_published
from millrace.lake.lease import lease
from millrace.settings import Settings
from millrace.steps.cloudwatch import put_metrics
from millrace.steps.explain import descriptions, hidden_features
from millrace.steps.promote import promote_published
from millrace.steps.run import Run
from millrace.tracking import spool
from millrace.tracking.runs import Evaluation, Logged, key_of, log_evaluation
from millrace.tracking.server import TrackingUnavailable, connect, is_healthy, within_budget
from millrace.training import MODEL

log = logging.getLogger(__name__)


def log_to_mlflow(run: Run) -> dict[str, Any]:
    """Log the evaluation of this run's partition; on AWS its figures go to CloudWatch as well.

    Never blocks for longer than the budget: what MLflow does not take in time is spooled.
    """
    put_metrics(run)
    try:
        logged = within_budget(run.settings, lambda: log_published(run))
    except TrackingUnavailable as error:
        spool.add(run.store, spool.Pending.of(run, str(error)))
        return {"spooled": True}
    log.info("Logged %d models with their report and plots: %s", len(logged.model_uris), logged.url)
    return {"spooled": False, **asdict(logged)}


def log_spooled(store: Store, settings: Settings) -> list[dict[str, Any]]:
    """Log and promote what waits in the spool.

    An entry that cannot be logged stays, with an error in the log, and holds up no other.

    Returns:
        What was taken out of it: data set, partition, whether a backfill had made it, and whether
        its model is the champion now.
    """
    done: list[dict[str, Any]] = []
    for entry in spool.entries(store):
        try:
            spec = load_any_spec(settings.datasets / f"{entry.dataset}.yaml")
            run = Run(
                spec, entry.partition, store, settings, tuple(spec.candidates),
                engine=entry.engine, promote=entry.promote, backfill=entry.backfill,
            )  # fmt: skip
            logged = within_budget(settings, functools.partial(log_published, run))
            verdict = promote_published(run)
        except TrackingUnavailable as error:
            log.warning("%s; %s stays in the spool.", error, entry.key)
            if not is_healthy(settings):
                break
            continue
        except Exception:
            log.exception("%s cannot be logged and stays in the spool.", entry.key)
            continue
        spool.remove(store, entry)
        done.append({
            "dataset": entry.dataset, "partition": entry.partition, "backfill": entry.backfill,
            "champion": verdict["champion"],
        })  # fmt: skip
        log.info("Logged %s from the spool: %s; %s", entry.key, logged.url, verdict["reasons"])
    return done


def log_published(run: Run) -> Logged:
    """Log what is published for the run's partition; two copies at once log it once."""
    with lease(run.store, f"mlflow/{run.spec.name}/{run.partition}", seconds=20):
        return _log_published(run)


def _log_published(run: Run) -> Logged:
    evaluation = run.published("reports", "evaluation", "evaluate")
    processed = run.processed()
    validation = run.validation()
    explanation = read_published(run.store, run.place("reports", "explanation"))
    summary = evaluation.json("summary.json")
    state = processed.json("train/transformation.json")
    names = [candidate["candidate"] for candidate in summary["candidates"]]
    pages = [
        (explanation or evaluation).path("report.html"),
        processed.path("statistics.html"),
        validation.path("validation.html"),
    ]
    plots = [
        made.path(name)
        for made in (evaluation, explanation, processed)
        if made
        for name in made.manifest.files
        if name.startswith("plots/")
    ]
    return log_evaluation(
        connect(run.settings),
        Evaluation(
            key=key_of(evaluation),
            summary=summary,
            models={name: run.published("models", name, "train").path(MODEL) for name in names},
            artifacts={"report": [*pages, evaluation.path("summary.json")], "plots": plots},
            example=example_record(run.spec, state),
            card=card_of_run(run, state, summary, processed),
            tags=_tags(run, evaluation, processed),
        ),
    )


def card_of_run(
    run: Run, state: dict[str, Any], summary: dict[str, Any], processed: Published
) -> dict[str, Any]:
    """The card of the winner of a run.

    Args:
        state: the fitted transformation.
        summary: summary.json of the evaluation.
        processed: the train channel, with the statistics of the rows.
    """
    about = descriptions(run), hidden_features(run)
    if isinstance(run.spec, ImageSpec):
        return card_of(run.spec, None, state, summary, *about)
    seen = processed.json("statistics.json")["raw"]
    return card_of(run.spec, run.tables, state, summary, *about, seen)


def _tags(run: Run, evaluation: Published, processed: Published) -> dict[str, str]:
    return {
        "millrace.dataset": run.spec.name,
        "millrace.partition": run.partition,
        "millrace.engine": run.engine,
        "millrace.data": processed.manifest.content,
        "millrace.code": evaluation.manifest.code,
        "mlflow.source.git.commit": evaluation.manifest.git_commit,
        "mlflow.source.name": "millrace",
    }


def example_record(spec: AnySpec, state: dict[str, Any]) -> dict[str, Any]:
    """A raw record to try the model with: the spec's examples, else what is usual."""
    usual = {feature["name"]: feature["fill"] for feature in state["features"]}
    columns = spec.columns if isinstance(spec, DatasetSpec) else {}
    record: dict[str, Any] = {}
    for item in state["inputs"]:
        given = columns[item["name"]].example if columns else None
        value = given if given is not None else usual.get(item["name"])
        if item["type"] == "number":
            record[item["name"]] = float(value or 0)
        else:
            record[item["name"]] = str(value or "")
    return record
