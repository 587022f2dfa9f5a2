"""Step: scores of a partition's features by the champion, with reasons, by Spark.

On this machine, on a transient EMR cluster or on EMR Serverless: the same script with the same
arguments. On AWS it writes into the lake itself, and only what it wrote is put in place here.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from millrace.aws.emr_capacity import ROWS_PER_VCPU
from millrace.datasets.scoring import Scoring, scoring_of
from millrace.errors import MillraceError
from millrace.jobs.work import Work
from millrace.lake import Attempt, Published, read_published
from millrace.spark import SCORING, history_page, source_digest
from millrace.spark_versions import check_readable
from millrace.steps import spark_here, spark_on_aws
from millrace.steps.champion import Champion, fetch_champion
from millrace.steps.run import Run, content_of
from millrace.steps.spark_here import SparkJob, run_here
from millrace.training import model_facts

log = logging.getLogger(__name__)

ROWS_PER_CORE = 400.0  # rows a second with reasons, of a model of 300 trees with 31 leaves
SCORES, PARTS = "scores", "features/"


class NothingToScore(MillraceError):
    """There are no features, or no champion; what makes them starts the scoring again."""


def plan(run: Run) -> dict[str, Any]:
    """Fetch the champion, and say what is to be done, where, and at what cost.

    Returns:
        `champion` for `score`; `where`: `local`, `emr`, `emr_serverless`, or `nowhere` where the
        scores are published; `seconds` and `cost_usd`, estimated.

    Raises:
        NothingToScore: the partition has no features, or the data set no champion.
        NoEnvironment: Spark on AWS lacks the packed environment.
        ModelTooNew: Spark on AWS would misread the champion.
    """
    features = _features(run)
    champion = fetch_champion(run)
    if champion is None:
        raise NothingToScore(
            f"{run.spec.name} has no champion yet; its pipeline promotes one, or set the alias"
            " `champion` in MLflow"
        )
    work = score(run, asdict(champion))
    rows = features.facts["rows"]
    log.info("%s rows, version %s of %s.", f"{rows:,}", champion.version, run.spec.name)
    found = {"champion": asdict(champion), "engine": run.engine, "seconds": 0, "cost_usd": 0.0}
    if work.is_done:
        log.info("Nothing to do: %s is published from the same features and model.", work.result)
        return {**found, "where": "nowhere"}
    job = _job(run, features, champion)
    if work.remote is None:
        return {**found, **spark_here.estimate(job, ROWS_PER_CORE)}
    check_model(run, champion)
    return {**found, **spark_on_aws.estimate(run, job, work.remote.request.hourly)}


def score(run: Run, champion: Mapping[str, Any]) -> Work:
    """Scores, reasons and principal components of all rows of the partition.

    Args:
        champion: the fields of `Champion`, as an earlier task has fetched it.
    """
    features, model = _features(run), Champion(**champion)
    what = {
        "features": content_of(features, PARTS), "model": model.content,
        "scoring": _scoring(run).model_dump(mode="json"), "script": source_digest(SCORING),
    }  # fmt: skip
    job = _job(run, features, model)

    def here(attempt: Attempt) -> None:
        run_here(run, job, job.arguments, attempt)

    def sent() -> None:
        """The model is in the lake already."""

    return Work(
        run.store, run.store.uri(str(job.place)), job.place, depends_on=what,
        inputs={features.uri: features.manifest.content, f"version {model.version}": model.content},
        here=here, remote=spark_on_aws.remote(run, job, what, sent) if run.is_remote else None,
        again=run.again, page=lambda facts: history_page(facts["application_id"]),
    )  # fmt: skip


def _job(run: Run, features: Published, model: Champion) -> SparkJob:
    return SparkJob(
        "score", SCORING, run.place("predictions", SCORES),
        partial(_arguments, run, features, model), int(features.facts["rows"]), ROWS_PER_VCPU,
    )  # fmt: skip


def _arguments(
    run: Run, features: Published, model: Champion, output: str, attempt: str
) -> list[str]:
    """The script's command line."""
    said = _scoring(run)
    return [
        "--features", f"{features.uri}/{PARTS.rstrip('/')}", "--model", run.store.uri(model.key),
        "--model-version", f"{run.spec.name} {model.version}", "--output", output,
        "--attempt", attempt, "--reasons", str(said.reasons), "--components", str(said.components),
    ]  # fmt: skip


def check_model(run: Run, champion: Champion) -> None:
    """Check the champion against the packed environment; what another one has is not known."""
    if run.settings.emr_target().emr.archive:
        return
    with tempfile.TemporaryDirectory(prefix="millrace-champion-") as scratch:
        check_readable(model_facts(run.store.local(champion.key, Path(scratch))))


def _features(run: Run) -> Published:
    """The published features.

    Raises:
        NothingToScore: there are none.
    """
    found = read_published(run.store, run.place("features"))
    if found is None:
        raise NothingToScore(
            f"{run.store.uri(str(run.place('features')))} has no published features; the pipeline"
            f" {run.spec.name} makes them"
        )
    return found


def _scoring(run: Run) -> Scoring:
    found = scoring_of(run.spec)
    if found is None:
        raise MillraceError(f"the spec of {run.spec.name} has no section `scoring`")
    return found
